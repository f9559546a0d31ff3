--! Rolls back: 000015-sizes-by-what-lists-ask-for.sql
--! Release before: runs
--! Derived: brain.space_sizes.state
--! Derived: brain.space_sizes.category
--! Derived: brain.space_sizes.app_id
--! Derived: brain.space_sizes.app
--! Derived: brain.space_sizes.source
--! Derived: brain.space_sizes.artifact_type
--! Derived: brain.space_sizes.is_sum
--! Stays: brain.space_sizes, as each row was parted by what it counts; their sums are the same

drop trigger _665_sizes_insert on brain.memories;
drop trigger _665_sizes_update on brain.memories;
drop trigger _665_sizes_delete on brain.memories;
drop function app.tg_memories__sizes();

drop index brain.space_sizes_told_idx;
alter table brain.space_sizes
  drop column state,
  drop column category,
  drop column app_id,
  drop column app,
  drop column source,
  drop column artifact_type,
  drop column is_sum;
comment on table brain.space_sizes is 'How many memories a space holds, told by each write: the sum is what counts.';

--! Restore: terms.sql
--! Restore: purge.sql
--! Restore: jobs.sql
