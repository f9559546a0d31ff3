import { prepareDatabase } from "../ops/roles.ts";
import { type EmbeddedServer, joinServer, SUPERUSER, startServer } from "./server.ts";

const DATABASE = "coding_brain";
const OWNER = "brain_owner";
const SERVICE = "brain_service";

/** The database of the embedded mode: where the service, its owner and the server's administrator connect. */
export interface EmbeddedDatabase {
  readonly server: EmbeddedServer;
  readonly database_url: string;
  readonly owner_database_url: string;
  readonly root_database_url: string;
}

/** Starts or joins the embedded server of a data directory and makes its roles and database. Throws what those throw. */
export async function openEmbedded(data_dir: string, say?: (line: string) => void): Promise<EmbeddedDatabase> {
  ignorePgVariables();
  const server = await startServer(data_dir, say && { say });
  if (server.is_ours) {
    const { superuser_password, owner_password, service_password } = server.secrets;
    const admin_url = server.url(SUPERUSER, superuser_password, "postgres");
    const owner = { name: OWNER, password: owner_password };
    const service = { name: SERVICE, password: service_password };
    await prepareDatabase(admin_url, DATABASE, { owner, service }).catch(async (error: unknown) => {
      await server.stop();
      throw error;
    });
  }
  return databaseOf(server);
}

/** The embedded database if another process of ours runs it; else null. */
export function joinEmbedded(data_dir: string): EmbeddedDatabase | null {
  ignorePgVariables();
  const server = joinServer(data_dir);
  return server && databaseOf(server);
}

function databaseOf(server: EmbeddedServer): EmbeddedDatabase {
  const { superuser_password, owner_password, service_password } = server.secrets;
  return {
    server,
    database_url: server.url(SERVICE, service_password, DATABASE),
    owner_database_url: server.url(OWNER, owner_password, DATABASE),
    root_database_url: server.url(SUPERUSER, superuser_password, "postgres"),
  };
}

/** PGSSLMODE, PGOPTIONS and the like speak of somebody's own server; both drivers would follow them to ours. */
function ignorePgVariables() {
  for (const name of Object.keys(process.env)) if (name.startsWith("PG")) delete process.env[name];
}
