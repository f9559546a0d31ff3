--! Previous: sha1:ef92cc9eda12bb693c8abd48d242244c429ed513
--! Hash: sha1:6c9bc3d3138be4cd38017a5c3ad012134ae19973
--! Message: spaces are not guessed by orgs

-- How many orgs there are tells nothing of how many spaces one has: among 2,000 orgs of one space the planner took one of
-- 2,000 for as small, and read the keys of all of them, up to ten times a request, for the one that a caller sees. Told
-- that all are of one org, it goes by the spaces' own keys. What is known now counts until the table is analyzed.
alter table brain.spaces alter column org_id set (n_distinct = 1);
analyze brain.spaces;
