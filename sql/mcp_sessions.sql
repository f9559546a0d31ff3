-- Sessions of legacy streams: a message finds its own user's session or none, and so do the answers on their way to
-- the process that holds the stream.
alter table brain.mcp_sessions enable row level security;
drop policy if exists own_sessions on brain.mcp_sessions;
create policy own_sessions on brain.mcp_sessions to brain_app
  using (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()))
  with check (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()));

revoke all on brain.mcp_sessions from public, brain_app;
grant select, delete, insert (id, client, holder, toolsets), update (touched_at, log_level) on brain.mcp_sessions to brain_app;

alter table brain.mcp_messages enable row level security;
drop policy if exists own_messages on brain.mcp_messages;
create policy own_messages on brain.mcp_messages to brain_app
  using (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()))
  with check (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()));

revoke all on brain.mcp_messages from public, brain_app;
grant select, delete, insert (session_id, body) on brain.mcp_messages to brain_app;
