-- Sessions of legacy streams: a message finds its own user's session or none.
alter table brain.mcp_sessions enable row level security;
drop policy if exists own_sessions on brain.mcp_sessions;
create policy own_sessions on brain.mcp_sessions to brain_app
  using (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()))
  with check (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()));

revoke all on brain.mcp_sessions from public, brain_app;
grant select, delete, insert (id, client), update (touched_at) on brain.mcp_sessions to brain_app;
