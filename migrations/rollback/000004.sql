--! Rolls back: 000004-streams-across-processes.sql
--! Release before: fails, as it opens sessions without a holder
--! Lost: brain.mcp_messages
--! Lost: brain.mcp_sessions where toolsets <> '{}' or log_level is not null
--! Derived: brain.mcp_sessions.holder
--! Stays: brain.mcp_sessions, as the sessions of before are closed

drop table brain.mcp_messages;
alter table brain.mcp_sessions drop column holder, drop column toolsets, drop column log_level;
alter table brain.mcp_sessions drop constraint mcp_sessions_org_id_user_id_id_key;

--! Restore: mcp_sessions.sql
