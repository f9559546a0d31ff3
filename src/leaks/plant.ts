import type { Person } from "./cast.ts";
import { randomWord, type Viewer } from "./needles.ts";
import type { Answer, Ask, World } from "./world.ts";

/** A memory that was planted, as it is now. */
export interface PlantedMemory {
  readonly id: string;
  readonly space: string;
  /** What happened to it after it was stored. */
  readonly fate: "none" | "updated" | "moved" | "deleted" | "archived";
}

/** What a person has stored, and what others could try to get at it by. */
export interface Planted {
  readonly person: Person;
  readonly memories: readonly PlantedMemory[];
  /** A memory that others say word for word, under the key it was stored with. */
  readonly bait: { readonly id: string; readonly content: string; readonly key: string };
  /** The name of an app that nobody else sees anything of. */
  readonly app: string;
  /** Canaries of a field each. */
  readonly entity: string;
  readonly thread: string;
  readonly tag: string;
  readonly artifact_ref: string;
  readonly session_id: string;
  readonly jti: string;
  /** What was said of entities, by space: a relation, a merge, an event on the timeline. */
  readonly said: readonly Record<"space" | "relation_id" | "merge_id" | "event_id", string>[];
  /** Words of the person's own memories that are no secret: for searches. */
  readonly words: string;
}

/** What a memory says, a canary in each field that takes text. */
type Fields = Record<"content" | "artifact_ref" | "thread", string> & { entities: string[] } & Record<string, unknown>;

/** Stores everybody's canaries, through the API as far as it goes, else as the owner. Throws an Error where the API refuses. */
export async function plant(world: World): Promise<Planted[]> {
  const planted: Planted[] = [];
  for (const person of world.people) planted.push(await plantFor(world, person));
  return planted;
}

async function plantFor(world: World, person: Person): Promise<Planted> {
  const words = `${randomWord(8)} ${randomWord(8)}`;
  const [home, ...shared] = person.spaces;
  const memories: PlantedMemory[] = [];
  const store = async (space: string, fields = fieldsFor(world, person, space, words)) => {
    const { id } = await stored(world, person, {
      method: "POST",
      path: "/api/v1/memories",
      body: { ...fields, access_entity: space },
    });
    return { id, fields };
  };
  const change = (id: string, fields: object) =>
    stored(world, person, { method: "PUT", path: `/api/v1/memories/${id}`, body: fields });

  const { id: first, fields } = await store(home);
  memories.push({ id: first, space: home, fate: "none" });
  for (const space of shared) memories.push({ id: (await store(space)).id, space, fate: "none" });

  const updated = await store(home);
  await change(updated.id, fieldsFor(world, person, home, words));
  memories.push({ id: updated.id, space: home, fate: "updated" });

  // There and back: what it said in a space stays with those who may read that space.
  for (const [from, to] of shared.slice(0, 2).flatMap(
    (space) =>
      [
        [home, space],
        [space, home],
      ] as const,
  )) {
    const { id } = await store(from);
    await change(id, { ...fieldsFor(world, person, to, words), access_entity: to });
    memories.push({ id, space: to, fate: "moved" });
  }

  const deleted = await store(home);
  await stored(world, person, { method: "DELETE", path: `/api/v1/memories/${deleted.id}` });
  memories.push({ id: deleted.id, space: home, fate: "deleted" });

  const archived = await store(home);
  await world.owner`update brain.memories set state = 'archived' where id = ${archived.id}`;
  memories.push({ id: archived.id, space: home, fate: "archived" });

  return {
    person,
    memories,
    ...(await plantBait(world, person)),
    entity: fields.entities[0] ?? "",
    thread: fields.thread,
    tag: Object.keys(fields.tags as object)[0] ?? "",
    artifact_ref: fields.artifact_ref,
    words,
    ...(await plantByOwner(world, person)),
  };
}

/** Every field of a memory, each with a canary for those who may read the space. */
export function fieldsFor({ haystack }: World, { org }: Person, space: string, words: string): Fields {
  const viewer: Viewer = { org, space };
  const word = (column: string) => haystack.canary(`brain.memories.${column}`, viewer);
  return {
    content: `${word("content")} ${words}`,
    artifact_type: "service",
    artifact_ref: word("artifact_ref"),
    entities: [word("entities")],
    thread: word("thread"),
    evidence: [word("evidence")],
    tags: { [word("tags")]: word("tags") },
    code_refs: [{ path: word("code_refs"), repo: word("code_refs") }],
    metadata: { [word("metadata")]: word("metadata") },
  };
}

/** A memory that was stored with a key, and one that came over MCP through an app whose name is a canary. */
async function plantBait(world: World, person: Person) {
  const { org, sub, spaces } = person;
  const own: Viewer = { org, sub };
  const content = world.haystack.canary("brain.memories.content", { org, space: spaces[0] });
  const key = world.haystack.canary("brain.idempotency_keys.key", own);
  const app = world.haystack.canary("brain.apps.name", { org, space: spaces[0] });
  const { id } = await stored(world, person, {
    method: "POST",
    path: "/api/v1/memories",
    headers: { "idempotency-key": key },
    body: { content },
  });
  const call = {
    name: "add_memories",
    arguments: { text: world.haystack.canary("brain.memories.content", { org, space: spaces[0] }) },
  };
  await stored(world, person, {
    method: "POST",
    path: "/mcp",
    headers: { "user-agent": `${app}/1` },
    body: { jsonrpc: "2.0", id: 1, method: "tools/call", params: call },
  });
  return { bait: { id, content, key }, app };
}

/**
 * What no route stores. A table that no statement here and no route fills is told of by the check of the coverage: a
 * new one gets its statement here.
 */
async function plantByOwner(world: World, person: Person) {
  const { haystack, owner } = world;
  const { org, sub } = person;
  const own: Viewer = { org, sub };
  const jti = haystack.canary("brain.revoked_tokens.jti");
  const session_id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");
  const user = owner`(select id from brain.users where org_id = app.org_key(${org}) and sub = ${sub})`;
  await owner`
    insert into brain.idempotency_keys (org_id, user_id, key, fingerprint, result)
    values (app.org_key(${org}), ${user}, ${haystack.canary("brain.idempotency_keys.key", own)}, 'x',
            to_jsonb(${haystack.canary("brain.idempotency_keys.result", own)}::text))`;
  await owner`
    insert into brain.mcp_sessions (org_id, user_id, id, client, holder)
    values (app.org_key(${org}), ${user}, ${session_id}, ${haystack.canary("brain.mcp_sessions.client", own)},
            gen_random_uuid())`;
  await owner`
    insert into brain.mcp_messages (org_id, user_id, session_id, body)
    values (app.org_key(${org}), ${user}, ${session_id}, ${haystack.canary("brain.mcp_messages.body", own)})`;
  await owner`
    insert into brain.revoked_tokens (org_id, jti, expires_at)
    values (app.org_key(${org}), ${jti}, now() + interval '1 day')`;
  const told = (column: string) => haystack.canary(`brain.audit_events.${column}`, { org });
  await owner`
    insert into brain.audit_events (org_id, sub, app, access_entities, action, outcome, code, targets, changed, request_id)
    values (app.org_key(${org}), ${told("sub")}, ${told("app")}, ${[told("access_entities")]}, 'planted', 'denied',
            ${told("code")}, ${[told("targets")]}, ${[told("changed")]}, ${told("request_id")})`;
  await owner`select app.seal_audit(1000000)`;
  const said: Planted["said"][number][] = [];
  for (const space of person.spaces) said.push(await plantGraph(world, person, space));
  await plantVectors(world, person);
  await owner`
    insert into brain.settings (org_id, settings, secrets, updated_by)
    values (app.org_key(${org}), ${owner.json({ planted: haystack.canary("brain.settings.settings", { org }) })},
            ${owner.json({ [haystack.canary("brain.settings.secret_names", { org })]: haystack.canary("brain.settings.secrets") })},
            ${haystack.canary("brain.settings.updated_by", { org })})
    on conflict do nothing`;
  haystack.id(session_id, "brain.mcp_sessions.id", own);
  return { session_id, jti, said };
}

/** A vector of each of a person's memories, and a job that failed. Nobody is shown the model or the job. */
async function plantVectors({ haystack, owner }: World, { org, sub }: Person) {
  const word = (column: string) => haystack.canary(`brain.${column}`);
  const model = haystack.canary("brain.embedding_spaces.model", { org }); // the org's settings tell it
  await owner`
    insert into brain.embedding_spaces (org_id, id, model, dimensions, state)
    values (app.org_key(${org}), 1, ${model}, 8, 'active') on conflict do nothing`;
  await owner`
    insert into brain.memory_embeddings (org_id, space_id, embedding_space, memory_id, code, vector)
    select org_id, space_id, 1, id, b'10101010', '\\x0102030405060708' from brain.memories
    where org_id = app.org_key(${org}) and owner = ${sub} on conflict do nothing`;
  await owner`
    insert into brain.jobs (org_id, kind, sub, space_id, payload, last_error, is_dead)
    select org_id, 'embed', ${sub}, id, ${owner.json({ planted: word("jobs.payload") })}, ${word("jobs.last_error")}, true
    from brain.spaces where org_id = app.org_key(${org}) and access_entity = ${`user:${sub}`}`;
}

/** What is said of entities in a space, and who recalled what there. */
async function plantGraph(world: World, person: Person, space: string): Promise<Planted["said"][number]> {
  const { haystack, owner } = world;
  const { org, sub } = person;
  const viewer: Viewer = { org, space };
  const word = (column: string) => haystack.canary(`brain.${column}`, viewer);
  const name = () => word("entities.display_name");
  const [known, other, merged] = [name(), name(), name()] as const;
  const say = (target: string) =>
    stored(world, person, {
      method: "POST",
      path: `/api/v1/entities/${known}/relations`,
      body: { target, type: word("relations.type"), access_entity: space },
    });
  const { id: relation_id } = await say(other);
  await say(merged);
  await owner`update brain.relations set app = ${word("relations.app")} where id = ${relation_id}`;
  const { merges } = await asked<{ merges: { merge_id: string }[] }>(world, person, {
    method: "POST",
    path: "/api/v1/entities/normalization/merge",
    body: { canonical: known, variants: [merged], dry_run: false, access_entity: space },
  });
  const at = owner`
    (select org_id, spaces.id as space_id, users.id as owner_id
     from brain.spaces join brain.users using (org_id)
     where org_id = app.org_key(${org}) and access_entity = ${space} and sub = ${sub}) as place`;
  const event_id = crypto.randomUUID();
  await owner`
    with event as (
      insert into brain.events (org_id, id, space_id, name, type, start_date, description, owner_id, owner, app)
      select org_id, ${event_id}, space_id, ${word("events.name")}, 'release', '2025', ${word("events.description")},
             owner_id, ${sub}, ${word("events.app")}
      from ${at}
      returning org_id, space_id, id
    )
    insert into brain.event_entities (org_id, space_id, event_id, key) select org_id, space_id, id, ${known} from event`;
  await owner`
    insert into brain.memory_access_log (org_id, space_id, at, user_id, sub, app, kind, memory_ids)
    select org_id, space_id, now(), owner_id, ${sub}, ${word("memory_access_log.app")}, 'get',
           array(select id from brain.memories where org_id = place.org_id and memories.space_id = place.space_id)
    from ${at}`;
  return { space, relation_id, merge_id: merges[0]?.merge_id ?? "", event_id };
}

/** Asks as a person and expects it to be done. Throws an Error where it is not. */
const stored = (world: World, person: Person, ask: Ask) => asked<{ id: string }>(world, person, ask);

async function asked<A extends object>(world: World, person: Person, asked: Ask): Promise<A> {
  const answer = await world.ask(person, asked, { may_store: true });
  if (answer.status >= 300 || answer.text.includes('"isError":true'))
    throw new Error(`${asked.method} ${asked.path} of ${person.sub} was answered ${answer.status} ${codeIn(answer)}`);
  return JSON.parse(answer.text.startsWith("{") ? answer.text : "{}");
}

/** The code of a problem in an answer; empty where there is none. */
export const codeIn = ({ text }: Answer) => /"code\\?":\\?"([A-Z_]+)\\?"/.exec(text)?.[1] ?? "";
