import type { Database, Tx } from "../db.ts";
import { schemaHash, schemaObjects } from "../ops/schema_objects.ts";
import { type Begin, BRIEF_SECONDS, READ_ONLY } from "./pool.ts";

/** What the database says of its own schema: which migration it has, and whether the catalog is as that one left it. */
export function schemaStateOf(begin: Begin): Pick<Database, "schemaState" | "lookForDrift"> {
  let has_drifted = false;
  return {
    schemaState: async () => ({ migration: (await begin(READ_ONLY, stateOf, BRIEF_SECONDS)).migration, has_drifted }),

    async lookForDrift() {
      has_drifted = await begin(READ_ONLY, async (tx) => {
        const { catalog_hash, is_same_server } = await stateOf(tx);
        // Where no run is known, or another major version prints expressions otherwise, nothing can be told.
        return catalog_hash !== null && is_same_server && catalog_hash !== schemaHash(await schemaObjects(tx));
      });
      return has_drifted;
    },
  };
}

/**
 * Before 000013 app.schema_state() gave the migration alone. As JSON, whose type is the same either way: a prepared
 * statement of another result fails once, when the schema goes forward or back under a service that runs.
 */
async function stateOf(tx: Tx) {
  const [row] = await tx<{ state: string | SchemaState | null; server_major: number }[]>`
    select to_jsonb(state) as state, current_setting('server_version_num')::int / 10000 as server_major
    from app.schema_state() as state`;
  const state = typeof row?.state === "string" ? { migration: row.state } : row?.state;
  return {
    migration: state?.migration ?? null,
    catalog_hash: state?.catalog_hash ?? null,
    is_same_server: state?.server_major !== undefined && state.server_major === row?.server_major,
  };
}

interface SchemaState {
  migration: string;
  catalog_hash?: string | null;
  server_major?: number | null;
}
