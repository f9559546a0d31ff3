import { t } from "elysia";
import { EntityName } from "../entities/schema.ts";
import { quoted } from "../json.ts";
import { defineTool } from "../mcp/tool.ts";
import { closed, Id, oneOf } from "../schema.ts";
import { aggregate } from "./aggregate.ts";
import { EventTypes, Timeline } from "./event_schema.ts";
import { exploreTool } from "./explore.ts";
import { relatedMemories } from "./related.ts";
import {
  Aggregate,
  DIMENSIONS,
  LIMITS,
  MAX_COUNT,
  MAX_SAMPLE,
  RelatedMemories,
  RelatedTags,
  SimilarMemories,
  Subgraph,
  TagKey,
  TagPairs,
  Via,
} from "./schema.ts";
import { similarMemories } from "./similar.ts";
import { memorySubgraph } from "./subgraph.ts";
import { relatedTags, tagPairs } from "./tags.ts";
import { lines, tellRelated, tellSimilar, tellSubgraph, tellTimeline } from "./telling.ts";
import { timeline } from "./timeline.ts";

const whole = (minimum: number, maximum: number, description: string) =>
  t.Optional(t.Number({ minimum, maximum, multipleOf: 1, description }));
const limit = (list: keyof typeof LIMITS) => whole(1, LIMITS[list][0], `Default ${LIMITS[list][1]}.`);
const min_count = (usual: number) => whole(1, MAX_COUNT, `Only in so many memories or more; default ${usual}.`);
const year = (description: string) => whole(0, 9999, description);

export const graphTools = [
  exploreTool,

  defineTool({
    name: "graph_related_memories",
    title: "Related memories",
    description:
      "Call it with a memory's id to see what shares entities, tags, evidence, an artifact or code with it. Gives " +
      "memories with what each shares, the rarest things counting most.",
    effect: "reads",
    toolset: "graph",
    input: t.Object({ memory_id: Id, via: t.Optional(Via), limit: limit("related") }, closed),
    output: RelatedMemories,
    run: (caller, { memory_id, ...options }) => relatedMemories(caller, memory_id, options),
    text: tellRelated,
  }),

  defineTool({
    name: "graph_subgraph",
    title: "Graph around a memory",
    description:
      "Call it with a memory's id to see everything around it at once. Gives nodes and edges: the memory, its things, " +
      "the memories that share them, with depth 2 those around these.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        memory_id: Id,
        depth: whole(1, 2, "Steps from memory to memory; default 2."),
        via: t.Optional(Via),
        related_limit: whole(0, LIMITS.subgraph[0], `Memories beside it; default ${LIMITS.subgraph[1]}.`),
      },
      closed,
    ),
    output: Subgraph,
    run: (caller, { memory_id, depth, ...options }) =>
      memorySubgraph(caller, memory_id, { ...options, depth: depth === 1 ? 1 : 2 }),
    text: tellSubgraph,
  }),

  defineTool({
    name: "graph_similar_memories",
    title: "Similar memories",
    description:
      "Call it with a memory's id to find what says nearly the same, doubles above all. Gives memories with a score in " +
      "0..1 and the method they were compared by.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        memory_id: Id,
        min_score: t.Optional(t.Number({ minimum: 0, maximum: 1, description: "Default 0.1." })),
        limit: limit("similar"),
      },
      closed,
    ),
    output: SimilarMemories,
    run: (caller, { memory_id, ...options }) => similarMemories(caller, memory_id, options),
    text: tellSimilar,
  }),

  defineTool({
    name: "graph_aggregate",
    title: "Memories counted",
    description:
      "Call it to see what the memories are made of: their categories, tags, entities, artifacts, apps and so on. Gives " +
      "how many there are of each, the most first.",
    effect: "reads",
    toolset: "graph",
    input: t.Object({ group_by: oneOf(DIMENSIONS), limit: limit("aggregate") }, closed),
    output: Aggregate,
    run: (caller, { group_by, ...options }) => aggregate(caller, group_by, options),
    text: ({ items, total }) =>
      lines(`${total} values, ${items.length} shown.`, ...items.map(({ key, count }) => `${count} ${quoted(key)}`)),
  }),

  defineTool({
    name: "graph_tag_cooccurrence",
    title: "Tags that go together",
    description:
      "Call it to see which tags are used together. Gives pairs with how many memories have both, how much more often " +
      "than by chance (npmi, -1 to 1), and examples.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        limit: limit("pairs"),
        min_count: min_count(2),
        sample_size: whole(0, MAX_SAMPLE, "Examples of each pair; default 3."),
      },
      closed,
    ),
    output: TagPairs,
    run: tagPairs,
    text: ({ items, total }) =>
      lines(
        `${total} pairs, ${items.length} shown.`,
        ...items.map(({ tag1, tag2, count, npmi }) => `${count} ${quoted(tag1)} ${quoted(tag2)} ${npmi.toFixed(2)}`),
      ),
  }),

  defineTool({
    name: "graph_related_tags",
    title: "Tags that go with one",
    description:
      "Call it with the key of a tag to find others it goes with. Gives tags with how many memories have both and how " +
      "much more often than by chance (npmi, -1 to 1).",
    effect: "reads",
    toolset: "graph",
    input: t.Object({ tag_key: TagKey, min_count: min_count(1), limit: limit("related_tags") }, closed),
    output: RelatedTags,
    run: (caller, { tag_key, ...options }) => relatedTags(caller, tag_key, options),
    text: ({ items, total }) =>
      lines(
        `${total} tags, ${items.length} shown.`,
        ...items.map(({ tag, count, npmi }) => `${count} ${quoted(tag)} ${npmi.toFixed(2)}`),
      ),
  }),

  defineTool({
    name: "graph_biography_timeline",
    title: "Timeline",
    description:
      "Call it to see what happened when, in all or to one entity: releases, incidents, decisions, and what a person " +
      "did. Gives events, the earliest first.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        entity_name: t.Optional(EntityName),
        event_types: t.Optional(EventTypes),
        start_year: year("Only what ends in it or later; without an end, what begins then."),
        end_year: year("Only what begins in it or earlier."),
        limit: limit("timeline"),
        cursor: t.Optional(t.String({ minLength: 1, maxLength: 512, description: "next_cursor of the page before." })),
      },
      closed,
    ),
    output: Timeline,
    run: timeline,
    text: tellTimeline,
  }),
];
