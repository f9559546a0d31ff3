import postgres from "postgres";
import { wronglySized } from "../ops/doctor.ts";
import { mayOpen, nameOf, type Person } from "./cast.ts";
import type { Planted } from "./plant.ts";
import { codeIn } from "./plant.ts";
import { ROUTE_PROBES } from "./probes.ts";
import type { World } from "./world.ts";

/** Every planted row, as a digest of all it says, by its table and org. */
export type Fingerprints = ReadonlyMap<string, ReadonlySet<string>>;

/** Takes the digests of all rows there are, as the owner; but not of sizes, whose rows are added up as their own people write. */
export async function fingerprints({ owner }: World): Promise<Fingerprints> {
  const tables = await owner<{ name: string }[]>`
    select relname as name from pg_class where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p')
      and relname <> 'space_sizes'
    order by 1`;
  const taken = new Map<string, Set<string>>();
  for (const { name } of tables) {
    const rows = await owner<{ org: string; digest: string }[]>`
      select org_id::text as org, md5(t::text) as digest from ${owner(`brain.${name}`)} as t`;
    for (const { org, digest } of rows) {
      const key = `brain.${name} of org ${org.slice(0, 8)}`;
      taken.set(key, (taken.get(key) ?? new Set()).add(digest));
    }
  }
  return taken;
}

/** Whether every row is as it was: nobody's attempts have changed or removed one, nor put one where they may not. */
export async function compareFingerprints(
  world: World,
  before: Fingerprints,
  known: ReadonlySet<string>,
): Promise<string> {
  const now = await fingerprints(world);
  let rows = 0;
  for (const [place, digests] of before) {
    const gone = [...digests].filter((digest) => !now.get(place)?.has(digest)).length;
    rows += digests.size;
    if (gone > 0) world.notes.find(`${gone} rows of ${place} were changed or removed by others.`);
  }
  const wrong = await wronglySized(world.owner);
  if (wrong > 0) world.notes.find(`${wrong} spaces are said to hold what they do not.`);
  return `${rows} rows as they were, ${await checkNewRows(world, known)} new ones where they may be`;
}

/** Ids of all memories there are. */
export async function memoryIds({ owner }: World): Promise<Set<string>> {
  const rows = await owner<{ id: string }[]>`select id::text as id from brain.memories`;
  return new Set(rows.map(({ id }) => id));
}

async function checkNewRows({ owner, people, notes }: World, known: ReadonlySet<string>): Promise<number> {
  const rows = await owner<{ id: string; org: string; sub: string; space: string }[]>`
    select memories.id::text as id, orgs.name as org, owner as sub, access_entity as space
    from brain.memories
    join brain.orgs using (org_id)
    join brain.spaces on spaces.org_id = memories.org_id and spaces.id = space_id`;
  const added = rows.filter(({ id }) => !known.has(id));
  for (const { org, sub, space } of added) {
    const writer = people.find((person) => person.org === org && person.sub === sub);
    if (writer && !mayOpen(writer, space))
      notes.find(`${nameOf(writer)} has stored a memory in a space that their token does not open.`);
  }
  return added.length;
}

/** That the probes work at all: everybody sees what is theirs, and the scan would tell of it. */
export async function checkControls({ ask, haystack, notes }: World, planted: readonly Planted[]): Promise<string> {
  let seen = 0;
  for (const { person, memories } of planted)
    for (const { id, fate } of memories.filter(({ fate }) => fate !== "deleted")) {
      const answer = await ask(person, { method: "GET", path: `/api/v1/memories/${id}` });
      if (answer.status !== 200 || !haystack.foundIn(answer.text).some(({ what }) => what === "brain.memories.content"))
        notes.find(
          `${nameOf(person)} asked for a memory of their own (${fate}) and got ${answer.status} ${codeIn(answer)}.`,
        );
      seen++;
    }
  return `${seen} memories read by those whose they are, ${Object.keys(ROUTE_PROBES).length} routes probed before`;
}

const POOLS = [1, 2, 3];
const ROUNDS = 40;

/**
 * That nothing of a caller stays on a connection: after many transactions of all callers, in the service's own way,
 * each connection of the pool has no context and sees no row.
 */
export async function checkContext(world: World): Promise<string> {
  for (const max of POOLS) await checkPool(world, max);
  return `pools of ${POOLS.join(", ")} connections after ${ROUNDS} transactions each`;
}

async function checkPool({ urls, people, notes }: World, max: number) {
  const service = postgres(urls.service_url, { max, onnotice: () => {} });
  try {
    const failures = await Promise.all(
      Array.from({ length: ROUNDS }, (_, round) => enterAndLeave(service, people[round % people.length])),
    );
    const failed = failures.filter(Boolean).length;
    if (failed > 0)
      notes.find(`${failed} of ${ROUNDS} transactions failed on a pool of ${max}: a caller could not enter.`);
    // Taken all at once, so that each is another one.
    const connections = await Promise.all(Array.from({ length: max }, () => service.reserve()));
    for (const connection of connections) {
      const [left] = await connection<{ org: string | null; spaces: string | null; rows: number }[]>`
        select nullif(current_setting('app.current_org_id', true), '') as org,
               nullif(current_setting('app.current_spaces', true), '') as spaces,
               (select count(*)::int from brain.memories) as rows`;
      if (left?.org || left?.spaces)
        notes.find(`A connection of a pool of ${max} keeps the context of its last caller.`);
      if (left && left.rows > 0) notes.find(`A connection of a pool of ${max} sees rows without any caller.`);
      connection.release();
    }
  } finally {
    await service.end();
  }
}

/** Whether it failed. */
async function enterAndLeave(service: postgres.Sql, person: Person | undefined): Promise<boolean> {
  if (!person) return false;
  const { org, sub, grants } = person;
  return service
    .begin(async (tx) => {
      await tx`select app.enter(${org}, ${sub}, 'a token', ${[...grants]})`;
      await tx`select id from brain.memories limit 1`;
    })
    .then(
      () => false,
      () => true, // told by the caller
    );
}
