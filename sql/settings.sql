-- Settings of an org. Whoever is in it may read them, the secrets nobody; who may change them is a matter of scopes,
-- which the service asks for first.
alter table brain.settings enable row level security;
drop policy if exists own_org on brain.settings;
create policy own_org on brain.settings to brain_app
  using (org_id = (select app.current_org_id()))
  with check (org_id = (select app.current_org_id()));
revoke all on brain.settings from public, brain_app;
grant select (org_id, settings, secret_names, updated_at, updated_by), insert (settings, secrets), update (settings, secrets)
  on brain.settings to brain_app;

create or replace function app.tg_settings__touch() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Written over the others, which the service cannot read; null takes one away.
  new.secrets := jsonb_strip_nulls(case tg_op when 'UPDATE' then old.secrets || new.secrets else new.secrets end);
  new.secret_names := array(select jsonb_object_keys(new.secrets) order by 1);
  new.updated_at := now();
  new.updated_by := coalesce(app.current_sub(), new.updated_by);
  return new;
end
$$;
revoke all on function app.tg_settings__touch() from public, brain_app;
create or replace trigger _500_touch before insert or update on brain.settings
  for each row execute function app.tg_settings__touch();
