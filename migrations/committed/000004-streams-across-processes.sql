--! Previous: sha1:054d1201172a6c3e4a2995f89c511f168f40308b
--! Hash: sha1:d37337b7a4d1f01e1e7f079a4970bd83f8310da0
--! Message: Streams across processes

-- Messages for legacy streams that another process holds.
delete from brain.mcp_sessions; -- of processes that have ended
alter table brain.mcp_sessions
  add column holder uuid not null,
  add column toolsets text[] not null default '{}' check (toolsets <@ array['graph', 'entities', 'admin']),
  add column log_level text check (
    log_level in ('debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency')),
  add unique (org_id, user_id, id);
comment on column brain.mcp_sessions.holder is 'The process that holds the stream.';

create table brain.mcp_messages (
  org_id uuid not null default app.current_org_id(),
  user_id uuid not null default app.current_user_id(),
  session_id text not null,
  id bigint generated always as identity,
  body text not null,
  primary key (org_id, session_id, id),
  foreign key (org_id, user_id, session_id) references brain.mcp_sessions (org_id, user_id, id) on delete cascade
);
comment on table brain.mcp_messages is 'Answers on their way to the process that holds the stream.';

--! Included mcp_sessions.sql
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
--! EndIncluded mcp_sessions.sql
