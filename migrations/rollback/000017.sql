--! Rolls back: 000017-twelve-bits-for-each-part-of-a-vector.sql
--! Release before: runs

-- The release before reads whole steps alone. The rows stay; of what a model can make again at any time, the sixteenths go.
update brain.memory_embeddings set vector = substring(vector for length(code)) where octet_length(vector) > length(code);
alter table brain.memory_embeddings reset (toast_tuple_target);
alter table brain.memory_embeddings alter column vector set storage extended;
comment on table brain.memory_embeddings is 'A memory in an embedding space: the signs of its vector, a bit each, and the vector in steps of 1/127 of its largest part.';
