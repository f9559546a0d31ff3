--! Previous: sha1:8d93d0ad8f50675d6d2498b09731f2fcf332f25f
--! Hash: sha1:ef92cc9eda12bb693c8abd48d242244c429ed513
--! Message: twelve bits for each part of a vector

-- Twelve bits for each part of a vector, where there were eight. Rows of before stay as they are: their length tells.
comment on table brain.memory_embeddings is 'A memory in an embedding space: the signs of its vector, a bit each, and the vector in sixteenths of 1/127 of its largest part: a byte for each part, then half a byte each; before 000017 a byte for each part alone.';
-- Nothing in them can be compressed, and up to 2,400 parts are read with their row, not from another table.
alter table brain.memory_embeddings alter column vector set storage external;
alter table brain.memory_embeddings set (toast_tuple_target = 4080);
