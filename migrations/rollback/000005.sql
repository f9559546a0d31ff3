--! Rolls back: 000005-what-memories-are-about.sql
--! Release before: runs
--! Lost: brain.entities where merged_into is not null
--! Lost: brain.relations
--! Lost: brain.events where not is_derived
--! Lost: brain.event_entities where (org_id, event_id) in (select org_id, id from brain.events where not is_derived)
--! Lost: brain.entity_merges
--! Lost: brain.memory_access_log
--! Lost: brain.settings
--! Derived: brain.memory_entities

drop trigger _650_derive_insert on brain.memories;
drop trigger _650_derive_update on brain.memories;
drop function app.tg_memories__derive();
drop function app.derive(uuid, uuid[], boolean);
drop function app.names_in(text[], text, jsonb, text);
drop function app.keys_in(text);
drop function app.decided_on(jsonb, json, text);
drop function app.is_date(text);

drop view brain.mentions;
drop table
  brain.settings, brain.memory_access_log, brain.entity_merges, brain.event_entities, brain.events, brain.relations,
  brain.memory_entities, brain.entities;
drop function app.tg__said_by();
drop function app.tg_settings__touch();
drop function app.tg_settings__audit();
drop function app.tg__audit();
drop trigger _700_audit on brain.apps;
drop function app.tg_apps__audit();
drop function app.log_recalls(jsonb);
drop function app.purge_expired(int);

drop index brain.memories_deleted_at_idx;

--! Restore: tenants.sql
--! Restore: audit.sql
