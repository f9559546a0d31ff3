import { readdirSync } from "node:fs";
import { join } from "node:path";
import { membersOf } from "./archives.ts";
import type { World } from "./world.ts";
import { ada, ben, cyd, eve, type Person, tokenFor } from "./world.ts";

/**
 * Who tries each route: the owner of what is asked for, a team-mate with a grant for its space, a member of the org
 * without one, and somebody of another org whose token says the same grants.
 */
export const PEOPLE = { owner: ada, mate: ben, colleague: cyd, stranger: eve } as const satisfies Record<
  string,
  Person
>;
export type Who = keyof typeof PEOPLE;
export const EVERYBODY = Object.keys(PEOPLE) as Who[];
/** Those who may see the space where things are made. */
export const SPACE = "project:acme/web";
export const TEAM: readonly Who[] = ["owner", "mate"];

/** Something of the owner's in the shared space: its id, and secret words that only the team may ever be told. */
export interface Thing {
  readonly id: string;
  readonly content: string;
  readonly entity: string;
  readonly tag: string;
  /** Puts away what the making opened. */
  close?(): Promise<void>;
}

/** One request to the route: without a path the route's own, its parameters filled with the thing's id. */
export interface Attempt {
  readonly path?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** How a route is called, and what each of those who try it gets. */
export interface Row<T extends Thing = Thing> {
  /** What those it is open to are answered. */
  readonly status: number;
  /** Who those are; the team by default. */
  readonly open_to?: readonly Who[];
  /** What everybody else is answered; 404 by default, and 200 where a list is just empty. */
  readonly otherwise?: number;
  /** No GET, and goes on through an app that its owner has paused: it only reads, or stores nothing. */
  readonly goes_on?: true;
  /** Made anew for each attempt; a memory in the shared space by default. */
  make?(ground: Ground): Promise<T>;
  call(thing: T): Attempt;
  /** Stands in the answers to those it is open to, and in no other: else a route that tells nobody anything would pass. */
  shows?(thing: T): string;
}

/** A row whose `make` gives more than a memory has. */
export const row = <T extends Thing>(row: Row<T>) => row as unknown as Row;

/** The rows of every file in tests/support/routes/, by route. Throws an Error where a route has two. */
export async function readRows(): Promise<ReadonlyMap<string, Row>> {
  const folder = join(import.meta.dir, "routes");
  const found = new Map<string, Row>();
  for (const file of readdirSync(folder)) {
    const { rows } = (await import(join(folder, file))) as { rows: Record<string, Row> };
    for (const [route, row] of Object.entries(rows)) {
      if (found.has(route)) throw new Error(`${route} has two rows`);
      found.set(route, row);
    }
  }
  return found;
}

export type Ground = Awaited<ReturnType<typeof layGround>>;

export interface Answered {
  readonly status: number;
  readonly headers: string;
  readonly text: string;
}

const secret = () => `s3cr${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;

/** A private memory for each of the people, and ways to make things and to ask. */
export async function layGround(world: World) {
  const privately = new Map<Who, string>();
  for (const who of EVERYBODY) {
    privately.set(who, secret());
    const { status } = await world.api(PEOPLE[who]).post("/memories", { content: privately.get(who) });
    if (status !== 201) throw new Error(`the private memory of the ${who} was answered ${status}`);
  }

  const marks = marksOf(world);
  return {
    world,
    /** A memory of the owner's in the shared space. */
    async memory(fields: object = {}): Promise<Thing> {
      const [content, entity, tag] = [secret(), secret(), secret()];
      const said = { content, entities: [entity], tags: { [tag]: true }, access_entity: SPACE, ...fields };
      const { status, body } = await world.api(PEOPLE.owner).post("/memories", said);
      if (status !== 201) throw new Error(`a memory to try a route on was answered ${status}`);
      return { id: body.id, content, entity, tag };
    },

    /** Asks as one of them, with all scopes or those given; as nobody without a token. Of a stream the first event. */
    async ask(
      who: Who | null,
      method: string,
      route: string,
      thing: Thing,
      attempt: Attempt,
      scopes?: readonly string[],
    ) {
      const path = attempt.path ?? route.replace(/:\w+/g, thing.id);
      const { body, headers = {} } = attempt;
      const response = await world.app.handle(
        new Request(`http://localhost${path}`, {
          method,
          headers: {
            ...(who && { authorization: `Bearer ${await tokenFor({ ...PEOPLE[who], ...(scopes && { scopes }) })}` }),
            ...(body !== undefined && !(body instanceof FormData) && { "content-type": "application/json" }),
            ...headers,
          },
          ...(body !== undefined && {
            body: typeof body === "string" || body instanceof FormData ? body : JSON.stringify(body),
          }),
        }),
      );
      return {
        status: response.status,
        headers: JSON.stringify([...response.headers]),
        text: await textOf(response),
      } satisfies Answered;
    },

    /** What one must not be told in an answer to this, whatever it is: others' private words, and the team's to who is none. */
    forbidden(who: Who | null, thing: Thing, attempt: Attempt): string[] {
      const said = decodeURIComponent(attempt.path ?? "") + JSON.stringify(attempt.body ?? "");
      const { content, entity, tag } = thing;
      const is_of_team = who !== null && TEAM.includes(who);
      const others = [...privately].filter(([owner]) => owner !== who).map(([, words]) => words);
      return [...others, ...(is_of_team ? [] : [content, entity, tag])].filter(
        (words) => words && !said.includes(words),
      );
    },

    /**
     * Everything stored in spaces that are not open to one, as one mark: to see that an attempt has changed nothing. Of
     * each table how many rows, and how new the newest: one that is written again is newer than all before it.
     */
    async mark(who: Who): Promise<string> {
      const { org, sub, grants = [] } = PEOPLE[who] as Person;
      const rows = await world.owner.unsafe(await marks, [org, [`user:${sub}`, ...grants]], { prepare: true });
      return JSON.stringify(rows);
    },
  };
}

/** The log of recalls is written a little later than what it is about. */
const LATER = "memory_access_log";

/** Asks of every table with spaces, as the catalog has them, what is in spaces that are not open to somebody: $1, $2. */
async function marksOf({ owner }: World): Promise<string> {
  const tables = await owner<{ name: string }[]>`
    select relname as name
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attname = 'space_id'
    where relnamespace = 'brain'::regnamespace and relkind in ('r', 'p') and relname <> ${LATER}
    order by relname`;
  const selects = tables.map(
    ({ name }) => `
      select '${name}' as name, count(*), max(t.xmin::text::bigint) as newest
      from brain.${name} as t join closed on closed.org_id = t.org_id and closed.id = t.space_id`,
  );
  return `
    with closed as materialized (
      select org_id, id from brain.spaces where not (org_id = app.org_key($1) and access_keys && $2::text[])
    )
    ${selects.join(" union all ")}`;
}

async function textOf(response: Response): Promise<string> {
  if (response.headers.get("content-type") === "application/zip")
    return JSON.stringify(await membersOf(new Uint8Array(await response.arrayBuffer())));
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response.text();
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = (await reader?.read()) ?? {};
  await reader?.cancel();
  return value;
}
