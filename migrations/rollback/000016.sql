--! Rolls back: 000016-what-is-derived-takes-less.sql
--! Release before: runs

drop trigger _650_derive_delete on brain.memories;
drop trigger _660_tag_delete on brain.memories;

--! Restore: keys.sql
--! Restore: entities.sql
--! Restore: tags.sql
--! Restore: terms.sql

drop function app.runs_in(text);
drop function app.add_terms(uuid[], int[], uuid[], text[]);
drop function app.said_in(text, text, text[], text[], jsonb);
drop function app.spelt(text, text[]);
drop function app.counted(tsvector, text[]);
drop function app.parted(text);
drop function app.without_signs(text);

comment on table brain.memory_entities is 'What each memory mentions, as it is named there. Written by a trigger alone.';
comment on table brain.memory_tags is 'The tags of each memory that is not deleted. Written by a trigger alone.';
alter table brain.memory_entities
  add foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade;
alter table brain.memory_tags
  add foreign key (org_id, memory_id) references brain.memories (org_id, id) on delete cascade;
