--! Rolls back: 000018-spaces-are-not-guessed-by-orgs.sql
--! Release before: runs

alter table brain.spaces alter column org_id reset (n_distinct);
analyze brain.spaces;
