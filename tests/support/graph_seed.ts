import type postgres from "postgres";
import { seededRandom } from "./random.ts";

/** How much of a graph to make, and whose it is: the same figures make the same graph. */
export interface GraphSize {
  readonly org: string;
  readonly sub: string;
  readonly memories: number;
  readonly entities: number;
}

const WORDS =
  "gateway billing ledger search index cache worker queue session token vector schema router mailer upload export report".split(
    " ",
  );
const KINDS = ["Service", "Client", "Job", "Table", "Page", "Policy"];

/** The name of an entity by its rank: some of words, some paths of files. */
export const entityName = (rank: number) => {
  const word = WORDS[rank % WORDS.length] ?? "";
  const kind = KINDS[Math.floor(rank / WORDS.length) % KINDS.length] ?? "";
  const turn = Math.floor(rank / (WORDS.length * KINDS.length));
  return rank % 5 === 4
    ? `src/${word}/${kind.toLowerCase()}${turn}.ts`
    : `${word} ${kind} ${String.fromCharCode(65 + (turn % 26))}${turn}`;
};

/**
 * Stores memories that mention three to eight entities each, few of them often and most seldom, as the owner of the
 * database would. The user must have stored something before.
 */
export async function seedGraph(owner: postgres.Sql, { org, sub, memories, entities }: GraphSize): Promise<void> {
  const random = seededRandom(7);
  const rows = Array.from({ length: memories }, (_, place) => {
    const count = 3 + Math.floor(random() * 6);
    // The square of a number in 0..1 is small more often than not.
    const ranks = Array.from({ length: count }, () => Math.floor(random() ** 2 * entities));
    return { content: `Note ${place} of ${sub}.`, entities: [...new Set(ranks)].map(entityName), place };
  });
  const STEP = 50; // what is derived from a statement's rows takes the square of them
  for (let from = 0; from < rows.length; from += STEP)
    await owner`
      insert into brain.memories (org_id, id, space_id, owner_id, owner, updated_by, app_id, app, content, entities, created_at)
      select users.org_id, gen_random_uuid(), spaces.id, users.id, users.sub, users.sub, apps.id, apps.name, row.content,
             row.entities, now() - row.place * interval '1 minute'
      from json_to_recordset(${JSON.stringify(rows.slice(from, from + STEP))}::text::json)
        as row (content text, entities text[], place int)
      cross join brain.users
      join brain.apps on apps.org_id = users.org_id and owner_id = users.id and apps.name = 'rest'
      join brain.spaces on spaces.org_id = users.org_id and access_entity = 'user:' || sub
      where users.org_id = app.org_key(${org}) and sub = ${sub}`;
  await owner`analyze`;
}
