--! Rolls back: 000001-first-light.sql
--! Release before: none
--! Lost: brain.orgs
--! Lost: brain.users
--! Lost: brain.spaces
--! Lost: brain.revoked_tokens
--! Lost: brain.apps
--! Lost: brain.memories

-- Everything. Without cascade: what somebody has added by hand stops it.
drop table brain.memories, brain.apps, brain.revoked_tokens, brain.spaces, brain.users, brain.orgs;

drop function app.search_lexical(text, text[], text[], text[], text[], text[], int);
drop function app.tg_memories__touch();
drop function app.enter(text, text, text, text[]);
drop function app.provision(text, text, text[], text[], text);
drop function app.limit_time();
drop function app.held_grants(text, text[]);
drop function app.org_key(text);
drop function app.schema_state();
drop function app.current_org_id();
drop function app.current_user_id();
drop function app.current_sub();
drop function app.current_spaces();
drop function app.access_keys(text);

drop schema app;
drop schema brain;

alter default privileges grant execute on functions to public;

-- An administrator may have made it before, for others too: then it stays.
do $$
begin
  if exists (select from pg_extension where extname = 'btree_gin' and extowner = current_user::regrole) then
    drop extension btree_gin;
  end if;
end
$$;
