--! Rolls back: 000003-the-audit.sql
--! Release before: fails, as app.enter() and app.search_lexical() take more
--! Lost: brain.audit_events
--! Lost: brain.audit_chains
--! Lost: brain.memories where supersedes is not null
--! Stays: brain.revoked_tokens, as tokens without a name are not denied again

drop trigger _400_supersede_insert on brain.memories;
drop trigger _400_supersede_update on brain.memories;
drop function app.tg_memories__supersede();
drop trigger _700_audit_insert on brain.memories;
drop trigger _700_audit_update on brain.memories;
drop trigger _700_audit_delete on brain.memories;
drop function app.tg_memories__audit();
drop function app.changed_fields(brain.memories, brain.memories);

drop table brain.audit_events, brain.audit_chains;
drop function app.audit_denied(text, text, text, text, text, text);
drop function app.seal_audit(int);
drop function app.framed(text[]);
drop function app.read_audit(text, text[], text, text, text, timestamptz, timestamptz, timestamptz, uuid, int);
drop function app.revoke_token(text, timestamptz);
drop function app.enter(text, text, text, text[], text, text);
drop function app.search_lexical(text, text[], text[], text[], text[], text[], boolean, int);
drop function app.current_app();
drop function app.current_request_id();

alter table brain.memories drop column supersedes;
alter table brain.revoked_tokens drop constraint revoked_tokens_jti_not_empty;

--! Restore: context.sql
--! Restore: tenants.sql
--! Restore: memories.sql
--! Restore: search.sql
