import { get, post } from "./asks.ts";
import type { Aim, RouteProbe, ToolProbe } from "./probe.ts";

const ENTITIES = "/api/v1/entities";
const named = (name: string, rest = "") => `${ENTITIES}/${encodeURIComponent(name)}${rest}`;

const reading = { needs: ["entities:read"], reads: true } as const;
const writing = { needs: ["entities:write"], reads: false } as const;

/** What a victim calls something by: only what is mentioned is an entity, and to others that is not there either. */
const namesOf = ({ entity, artifact_ref, tag, id }: Aim) => [entity, entity.toUpperCase(), artifact_ref, tag, id];

/** Of everything the caller sees, with nothing to aim by. */
const ofAll = (...paths: string[]): RouteProbe => ({
  ...reading,
  asks: () => paths.map((path) => get(`${ENTITIES}${path}`)),
  views: () => paths.map((path) => get(`${ENTITIES}${path}`)),
});

const ofOne = (rest: string): Pick<RouteProbe, "asks" | "views"> => ({
  asks: (aim) => namesOf(aim).map((name) => get(named(name, rest))),
  views: ({ words }) => words.split(" ").map((word) => get(named(word, rest))),
});

const merge = (path: string): RouteProbe => ({
  ...writing,
  asks: ({ entity, artifact_ref, tag, space }) => [
    post(`${ENTITIES}${path}`, { auto: true }),
    post(`${ENTITIES}${path}`, { auto: true, access_entity: space }),
    post(`${ENTITIES}${path}`, { canonical: entity, variants: [artifact_ref] }),
    post(`${ENTITIES}${path}`, { canonical: entity, variants: [artifact_ref], dry_run: false }),
    post(`${ENTITIES}${path}`, { canonical: entity, variants: [tag], dry_run: false, access_entity: space }),
  ],
});

/** One entry for each route of entities. */
export const ENTITY_ROUTE_PROBES: Readonly<Record<string, RouteProbe>> = {
  "GET /api/v1/entities": {
    ...reading,
    asks: ({ entity }) => [
      get(`${ENTITIES}?limit=200`),
      get(`${ENTITIES}?cursor=${Buffer.from(`999999 ${entity}`).toString("base64url")}`),
    ],
    views: () => [get(`${ENTITIES}?limit=200`), get(`${ENTITIES}?limit=2`), get(`${ENTITIES}?min_memories=2`)],
  },
  "GET /api/v1/entities/analytics/centrality": ofAll("/analytics/centrality?limit=100"),
  "GET /api/v1/entities/analytics/pagerank": ofAll("/analytics/pagerank?limit=100"),
  "GET /api/v1/entities/normalization/duplicates": ofAll("/normalization/duplicates?limit=200"),
  "GET /api/v1/entities/normalization/semantic-duplicates": {
    ...ofAll("/normalization/semantic-duplicates?threshold=0.1&limit=200"),
    asks: ({ space }) => [
      get(`${ENTITIES}/normalization/semantic-duplicates?${new URLSearchParams({ access_entity: space })}`),
    ],
  },
  "POST /api/v1/entities/normalization/merge": merge("/normalization/merge"),
  "POST /api/v1/entities/normalization/semantic-merge": merge("/normalization/semantic-merge"),
  "POST /api/v1/entities/normalization/undo/:merge_id": {
    ...writing,
    asks: ({ merge_id, id }) =>
      [merge_id, id].map((one) => ({ method: "POST", path: `${ENTITIES}/normalization/undo/${one}` })),
  },
  "GET /api/v1/entities/path/:a/:b": {
    needs: ["entities:read", "memories:read"],
    reads: true,
    asks: ({ entity, artifact_ref }) => [
      get(`${ENTITIES}/path/${entity}/${artifact_ref}`),
      get(`${ENTITIES}/path/${artifact_ref}/${entity}?max_hops=6`),
    ],
    views: ({ words }) => [get(`${ENTITIES}/path/${words.split(" ").slice(0, 2).join("/")}`)],
  },
  "GET /api/v1/entities/:name": { ...reading, ...ofOne("") },
  "GET /api/v1/entities/:name/network": { ...reading, ...ofOne("/network?limit=200") },
  "GET /api/v1/entities/:name/relations": { ...reading, ...ofOne("/relations?limit=200") },
  "POST /api/v1/entities/:name/relations": {
    ...writing,
    asks: ({ entity, tag, space, ids }) => [
      post(named(entity, "/relations"), { target: tag, type: "uses" }),
      post(named(entity, "/relations"), { target: tag, type: "uses", access_entity: space }),
      ...ids.map((memory_id) => post(named(entity, "/relations"), { target: tag, type: "uses", memory_id })),
    ],
  },
  "DELETE /api/v1/entities/:name/relations/:id": {
    ...writing,
    asks: ({ entity, relation_id }) => [{ method: "DELETE", path: named(entity, `/relations/${relation_id}`) }],
  },
  "GET /api/v1/entities/:name/memories": {
    needs: ["entities:read", "memories:read"],
    reads: true,
    ...ofOne("/memories?limit=100"),
  },
};

/** One entry for each tool of entities. */
export const ENTITY_TOOL_PROBES: Readonly<Record<string, ToolProbe>> = {
  graph_path_between_entities: {
    needs: ["entities:read", "memories:read"],
    reads: true,
    asks: ({ entity, artifact_ref }) => [{ entity_a: entity, entity_b: artifact_ref }],
  },
  graph_entity_network: {
    ...reading,
    asks: (aim) => namesOf(aim).map((entity_name) => ({ entity_name })),
    views: ({ words }) => words.split(" ").map((entity_name) => ({ entity_name })),
  },
  graph_entity_relations: {
    ...reading,
    asks: (aim) => namesOf(aim).map((entity_name) => ({ entity_name })),
    views: ({ words }) => words.split(" ").map((entity_name) => ({ entity_name })),
  },
  graph_normalize_entities: {
    ...writing,
    asks: ({ entity, tag, space }) => [
      {},
      { access_entity: space },
      { canonical: entity, variants: [tag], dry_run: false, access_entity: space },
    ],
    views: () => [{}, { auto: true }],
  },
  graph_normalize_entities_semantic: {
    ...writing,
    asks: ({ entity, tag, space }) => [
      { threshold: 0.1, access_entity: space },
      { mode: "execute", canonical: entity, variants: [tag], access_entity: space },
    ],
    views: () => [{ threshold: 0.1 }, { mode: "preview", threshold: 0.1 }],
  },
};
