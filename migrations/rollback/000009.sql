--! Rolls back: 000009-jobs-and-vectors.sql
--! Release before: runs
--! Lost: brain.jobs
--! Lost: brain.embedding_spaces
--! Lost: brain.memory_embeddings

drop trigger _670_embed_insert on brain.memories;
drop trigger _670_embed_update on brain.memories;
drop function app.tg_memories__embed();
drop function app.leave_to_embed(uuid, uuid[], int);
drop function app.open_embedding_spaces(text, int);
drop function app.claim_jobs(int);
drop function app.finish_job(uuid);
drop function app.fail_job(text, uuid, text);

drop table brain.memory_embeddings, brain.embedding_spaces, brain.jobs;
