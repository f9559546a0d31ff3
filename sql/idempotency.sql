-- Retried writes: a user's own, and nobody else's.
alter table brain.idempotency_keys enable row level security;
drop policy if exists own_keys on brain.idempotency_keys;
create policy own_keys on brain.idempotency_keys to brain_app
  using (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()))
  with check (org_id = (select app.current_org_id()) and user_id = (select app.current_user_id()));

revoke all on brain.idempotency_keys from public, brain_app;
grant select, delete, insert (key, fingerprint), update (result) on brain.idempotency_keys to brain_app;
