--! Rolls back: 000006-paused-apps-recalls-by-memory.sql
--! Release before: runs

drop trigger _100_refuse_paused on brain.memories;
drop trigger _100_refuse_paused on brain.entities;
drop trigger _100_refuse_paused on brain.relations;
drop trigger _100_refuse_paused on brain.events;
drop trigger _100_refuse_paused on brain.event_entities;
drop trigger _100_refuse_paused on brain.entity_merges;
drop trigger _100_refuse_paused on brain.settings;
drop function app.tg__refuse_paused();
drop function app.recalls_of(uuid, int);

drop index brain.memory_access_log_memory_ids_idx;
drop index brain.memories_app_idx;

--! Restore: settings.sql
--! Restore: recalls.sql
--! Restore: purge.sql
