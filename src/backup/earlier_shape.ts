import type { Identity } from "../auth/tokens.ts";
import { namedId } from "./ids.ts";
import type { ExportedMemory } from "./read.ts";

/**
 * memories.json as the earlier system and mem0 OpenMemory write it (version "1"), for programs that read that: what we
 * have in fields of their own is in the metadata there. Made as it is read; what the memories name comes after them.
 */
export async function* earlierShape(
  caller: Pick<Identity, "org" | "sub">,
  batches: AsyncIterable<ExportedMemory[]>,
  filter: object,
): AsyncGenerator<string> {
  const user_id = namedId("user", `${caller.org}/${caller.sub}`);
  const apps = new Map<string, { id: string; name: string; owner: string }>();
  const categories = new Set<string>();
  const user = { id: user_id, user_id: caller.sub, name: caller.sub, email: null, metadata: {} };
  yield `{"user":${JSON.stringify({ ...user, created_at: null, updated_at: null })},"memories":[`;
  let is_first = true;
  for await (const memories of batches)
    for (const memory of memories) {
      apps.set(memory.app_id, { id: memory.app_id, name: memory.app, owner: memory.owner });
      categories.add(memory.category);
      yield `${is_first ? "" : ","}\n${JSON.stringify(earlierMemory(caller.org, memory))}`;
      is_first = false;
    }
  const rest = {
    apps: [...apps.values()].map(({ owner, ...app }) => ({
      ...app,
      owner_id: namedId("user", `${caller.org}/${owner}`),
      description: null,
      metadata: {},
      is_active: true,
      created_at: null,
      updated_at: null,
    })),
    categories: [...categories].map((name) => ({
      id: namedId("category", name),
      name,
      description: null,
      created_at: null,
      updated_at: null,
    })),
    memory_categories: [],
    status_history: [],
    access_controls: [],
    export_meta: {
      app_id_filter: null,
      from_date: null,
      to_date: null,
      ...filter,
      version: "1",
      generated_at: offset(new Date().toISOString()),
    },
  };
  yield `\n],${JSON.stringify(rest).slice(1)}`;
}

function earlierMemory(org: string, memory: ExportedMemory) {
  const { category, scope, access_entity, artifact_type, artifact_ref, entities, thread, evidence, tags } = memory;
  const [entity] = entities;
  const structured = {
    category,
    scope,
    access_entity,
    artifact_type,
    artifact_ref,
    entity,
    entities: entities.length > 1 ? entities : null,
    thread,
    evidence: evidence.length > 0 ? evidence : null,
    tags: Object.keys(tags).length > 0 ? tags : null,
    code_refs: memory.code_refs.length > 0 ? memory.code_refs : null,
    source: memory.source,
  };
  const told = Object.entries(structured).filter(([, value]) => value !== null && value !== undefined);
  return {
    id: memory.id,
    user_id: namedId("user", `${org}/${memory.owner}`),
    app_id: memory.app_id,
    content: memory.content,
    metadata: { ...memory.metadata, ...Object.fromEntries(told) },
    state: memory.state,
    created_at: offset(memory.created_at),
    updated_at: offset(memory.updated_at),
    archived_at: memory.archived_at && offset(memory.archived_at),
    deleted_at: memory.deleted_at && offset(memory.deleted_at),
    category_ids: [namedId("category", category)],
  };
}

/** As Python reads it in every version. */
const offset = (instant: string) => instant.replace(/Z$/, "+00:00");
