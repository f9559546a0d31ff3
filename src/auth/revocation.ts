import postgres from "postgres";

/** A token to refuse from now on. `expires_at` (RFC 3339) is when it would end anyway. */
export interface Revocation {
  org: string;
  jti: string;
  expires_at: string;
}

/**
 * Puts a token on the denylist, as the owner of the database: it is refused from the next transaction on. Again is fine.
 * Throws what PostgreSQL throws.
 */
export async function revokeToken(owner_url: string, { org, jti, expires_at }: Revocation): Promise<void> {
  const sql = postgres(owner_url, { max: 1, onnotice: () => {} });
  try {
    await sql`
      with added as (
        insert into brain.revoked_tokens (org_id, jti, expires_at)
        values (app.org_key(${org}), ${jti}, ${expires_at}::text::timestamptz)
        on conflict do nothing
        returning org_id, jti
      )
      insert into brain.audit_events (org_id, action, targets)
      select org_id, 'token.revoked', array[jti] from added`;
  } finally {
    await sql.end();
  }
}
