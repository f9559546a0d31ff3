-- An app that its owner has paused writes nothing more: not memories, not what is said of entities, not settings. Asked
-- of each statement by the tables themselves, so that no write can forget to. What goes on: reading, letting the app go
-- on, revoking a token, the sessions of streams. Raises BRN05.
create or replace function app.tg__refuse_paused() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from brain.apps
    where org_id = (select app.current_org_id()) and owner_id = (select app.current_user_id())
      and name = (select current_setting('app.current_app', true)) and not is_active
  ) then
    raise exception 'app paused' using errcode = 'BRN05';
  end if;
  return null;
end
$$;
revoke all on function app.tg__refuse_paused() from public, brain_app;

create or replace trigger _100_refuse_paused before insert or update or delete on brain.memories
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.entities
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.relations
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.events
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.event_entities
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.entity_merges
  for each statement execute function app.tg__refuse_paused();
create or replace trigger _100_refuse_paused before insert or update or delete on brain.settings
  for each statement execute function app.tg__refuse_paused();
