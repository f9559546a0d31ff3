--! Rolls back: 000008-words-in-tables-of-their-own.sql
--! Release before: fails, as app.search_lexical() is gone
--! Derived: brain.memory_terms
--! Derived: brain.space_words
--! Derived: brain.space_sizes

drop trigger _660_terms_insert on brain.memories;
drop trigger _660_terms_update on brain.memories;
drop trigger _660_terms_delete on brain.memories;
drop function app.tg_memories__terms();
drop function app.add_terms(brain.memories[]);
drop function app.remove_terms(brain.memories[]);
drop function app.add_up_sizes(uuid, int);
drop function app.said_by(brain.memories);
drop function app.words_in(text);

drop table brain.memory_terms, brain.space_words, brain.space_sizes;
drop index brain.memories_thread_idx;

--! Restore: search.sql
--! Restore: entities.sql
