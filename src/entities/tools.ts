import { t } from "elysia";
import type { Caller } from "../db.ts";
import { quoted } from "../json.ts";
import { defineTool } from "../mcp/tool.ts";
import { SpaceName } from "../memories/schema.ts";
import { closed, oneOf } from "../schema.ts";
import { findDuplicates, findSemanticDuplicates } from "./duplicates.ts";
import { mergeEntities, mergeSemantically } from "./merge.ts";
import { Duplicates, MergeAnswer, mergeFields } from "./normalization_schema.ts";
import { pathBetween } from "./path.ts";
import { entityRelations } from "./relations.ts";
import {
  EntityName,
  EntityNetwork,
  EntityPath,
  MAX_HOPS,
  MAX_RELATION_TYPES,
  RelationPage,
  RelationType,
  relationFields,
} from "./schema.ts";
import { entityNetwork } from "./service.ts";

const count = (maximum: number, description: string) =>
  t.Optional(t.Number({ minimum: 1, maximum, multipleOf: 1, description }));

/** A list, or one text with commas, as the earlier system took it. */
const listed = (value: string | string[] | undefined) =>
  typeof value === "string" ? value.split(",").map((one) => one.trim()) : value;

/** Duplicates where nothing was asked to be merged, else what became of the merge. */
const Normalized = t.Object({
  duplicates: t.Optional(Duplicates),
  merge: t.Optional(MergeAnswer),
});

function toldOf({ duplicates, merge }: typeof Normalized.static): string {
  if (duplicates)
    return [
      `${duplicates.total} groups of names that may be one thing.`,
      ...duplicates.items.flatMap(({ canonical, variants }) => [
        `canonical ${quoted(canonical)}`,
        ...variants.map(({ name, why, confidence }) => `- ${why} ${confidence} ${quoted(name)}`),
      ]),
    ].join("\n");
  const merges = merge?.merges ?? [];
  return [
    merge?.dry_run ? `A dry run: ${merges.length} merges would be made.` : `${merges.length} merges made.`,
    ...merges.flatMap(({ canonical, variants, merge_id }) => [
      `${merge_id ?? "canonical"} ${quoted(canonical)}`,
      ...variants.map(({ name, memory_count }) => `- ${memory_count} ${quoted(name)}`),
    ]),
  ].join("\n");
}

const normalizing = {
  canonical: mergeFields.canonical,
  variants: t.Optional(
    t.Union([t.String({ minLength: 1, maxLength: 8192 }), t.Array(EntityName, { minItems: 1, maxItems: 100 })], {
      description: "Other names of canonical: a list, or separated by commas.",
    }),
  ),
  access_entity: t.Optional(SpaceName),
};

export const entityTools = [
  defineTool({
    name: "graph_path_between_entities",
    title: "Path between entities",
    description:
      "Call it to learn how two things are connected. Gives a shortest way from one to the other, with the memories and " +
      "relations that say so for each hop; hops is absent where there is none.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        entity_a: EntityName,
        entity_b: EntityName,
        max_hops: count(MAX_HOPS, "From one entity to the next is a hop. Default 6."),
      },
      closed,
    ),
    output: EntityPath,
    run: (caller, { entity_a, entity_b, max_hops }) => pathBetween(caller, [entity_a, entity_b], { max_hops }),
    text: ({ hops, entities }) =>
      [hops === null ? "No way found." : `${hops} hops.`, ...entities.map((name) => `- ${quoted(name)}`)].join("\n"),
  }),

  defineTool({
    name: "graph_entity_network",
    title: "Network of an entity",
    description:
      "Call it to see what a thing is usually mentioned together with. Gives these entities, the most often first, with " +
      "counts and ids of memories that mention both.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        entity_name: EntityName,
        min_count: count(999_999, "Only with so many memories or more. Default 1."),
        limit: count(100, "Default 20."),
      },
      closed,
    ),
    output: EntityNetwork,
    run: (caller, { entity_name, min_count, limit = 20 }) => entityNetwork(caller, entity_name, { min_count, limit }),
    text: ({ name, items, total }) =>
      [
        `Mentioned together with ${total} others: ${quoted(name)}`,
        ...items.map((item) => `${item.memory_count} ${quoted(item.name)}`),
      ].join("\n"),
  }),

  defineTool({
    name: "graph_entity_relations",
    title: "Relations of an entity",
    description:
      "Call it to see how a thing stands to others: what it depends on, who owns it. Gives typed relations, newest first, " +
      "with their direction and the memory that says so.",
    effect: "reads",
    toolset: "graph",
    input: t.Object(
      {
        entity_name: EntityName,
        relation_types: t.Optional(
          t.Union(
            [
              t.String({ minLength: 1, maxLength: 2048 }),
              t.Array(RelationType, { minItems: 1, maxItems: MAX_RELATION_TYPES }),
            ],
            {
              description: "A list, or separated by commas.",
            },
          ),
        ),
        category: t.Optional(relationFields.category),
        direction: t.Optional(relationFields.direction),
        limit: count(200, "Default 50."),
        cursor: t.Optional(t.String({ minLength: 1, maxLength: 256 })),
      },
      closed,
    ),
    output: RelationPage,
    run: (caller, { entity_name, relation_types, ...filter }) =>
      entityRelations(caller, entity_name, { ...filter, relation_types: listed(relation_types) }),
    text: ({ name, items, total }) =>
      [
        `${total} relations of ${quoted(name)}`,
        ...items.map(({ type, direction, target }) => `- ${direction} ${type} ${quoted(target)}`),
      ].join("\n"),
  }),

  defineTool({
    name: "graph_normalize_entities",
    title: "Merge spellings",
    description:
      "Call it when one thing has several names: without canonical and auto it lists the surest duplicates, with them it " +
      "merges, as a dry run unless dry_run is false. Gives what changes, with the id to undo each merge by.",
    effect: "changes",
    toolset: "entities",
    input: t.Object({ ...normalizing, auto: mergeFields.auto, dry_run: mergeFields.dry_run }, closed),
    output: Normalized,
    async run(caller: Caller, { canonical, variants, auto, dry_run, access_entity }) {
      if (canonical === undefined && variants === undefined && !auto)
        return { duplicates: await findDuplicates(caller, { access_entity }) };
      const request = { canonical, variants: listed(variants), auto, dry_run, access_entity };
      return { merge: await mergeEntities(caller, given(request)) };
    },
    text: toldOf,
  }),

  defineTool({
    name: "graph_normalize_entities_semantic",
    title: "Merge likely spellings",
    description:
      "Call it to look for names that may be one thing, less surely than graph_normalize_entities: detect lists them, " +
      "preview tells what merging would change, execute does it. Without canonical it is about all of them.",
    effect: "changes",
    toolset: "entities",
    input: t.Object(
      {
        mode: t.Optional(oneOf(["detect", "preview", "execute"], { description: "Default detect." })),
        threshold: t.Optional(t.Number({ minimum: 0, maximum: 1, description: "How sure at least. Default 0.7." })),
        ...normalizing,
      },
      closed,
    ),
    output: Normalized,
    async run(caller: Caller, { mode = "detect", threshold, canonical, variants, access_entity }) {
      if (mode === "detect") return { duplicates: await findSemanticDuplicates(caller, { threshold, access_entity }) };
      const request = {
        canonical,
        variants: listed(variants),
        auto: canonical === undefined && variants === undefined,
        dry_run: mode === "preview",
        access_entity,
        threshold,
      };
      return { merge: await mergeSemantically(caller, given(request)) };
    },
    text: toldOf,
  }),
];

/** Without the fields that are absent: whoever checks for what was given would take them for given. */
const given = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
