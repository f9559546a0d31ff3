import type { EntityNetwork, EntityPath } from "../entities/schema.ts";
import { quoted } from "../json.ts";
import type { Timeline } from "./event_schema.ts";
import type { Glimpse, RelatedMemories, SimilarMemories, Subgraph } from "./schema.ts";

/** Short renderings for clients that show text only. What people stored is in them quoted, as data. */

export const lines = (first: string, ...rest: string[]) => [first, ...rest].join("\n");

const listed = (names: readonly string[]) => names.map((name) => quoted(name)).join(", ");

const glimpse = ({ id, category, preview }: Glimpse, extra = "") => `${id} ${category}${extra} ${quoted(preview)}`;

export const tellRelated = ({ items, total }: RelatedMemories) =>
  lines(
    `${total} related, ${items.length} shown.`,
    ...items.map((item) => {
      const shared = item.shared.map(({ kind, name }) => `${kind} ${quoted(name)}`).join(", ");
      return `${glimpse(item, ` ${item.score.toFixed(2)}`)} by ${shared}`;
    }),
  );

export const tellSimilar = ({ items, total, method }: SimilarMemories) =>
  lines(
    `${total} similar by their ${method}, ${items.length} shown.`,
    ...items.map((item) => glimpse(item, ` ${item.score.toFixed(2)}`)),
  );

export function tellSubgraph({ nodes, edges }: Subgraph) {
  const memories = nodes.filter(({ kind }) => kind === "memory");
  const shown = (id: string) => (memories.some((memory) => memory.id === id) ? id : quoted(id));
  return lines(
    `${memories.length} memories, ${nodes.length - memories.length} things, ${edges.length} edges.`,
    ...memories.map(({ id, category = "", preview = "" }) => `${id} ${category} ${quoted(preview)}`),
    ...edges.map(({ source, target, kind, type }) => `${shown(source)} ${type ?? kind} ${shown(target)}`),
  );
}

export const tellTimeline = ({ items, total, next_cursor }: Timeline) =>
  lines(
    `${total ?? "Some"} events, ${items.length} shown${next_cursor ? ", more with next_cursor" : ""}.`,
    ...items.map(({ start_date, end_date, event_type, name, entities }) => {
      const when = end_date ? `${start_date} to ${end_date}` : start_date;
      return `${when} ${event_type} ${quoted(name)}${entities.length > 0 ? ` with ${listed(entities)}` : ""}`;
    }),
  );

export const tellNetwork = ({ name, items, total }: EntityNetwork) =>
  lines(
    `${quoted(name)} is mentioned together with ${total}, ${items.length} shown.`,
    ...items.map((item) => `${quoted(item.name)} in ${item.memory_count}`),
  );

export const tellPath = ({ entity_a, entity_b, hops, steps }: EntityPath) =>
  hops === null
    ? `No path between ${quoted(entity_a)} and ${quoted(entity_b)}.`
    : lines(
        `${hops} ${hops === 1 ? "hop" : "hops"} between ${quoted(entity_a)} and ${quoted(entity_b)}.`,
        ...steps.flatMap(({ from, to, memory_count, memories }) => [
          `${quoted(from)} and ${quoted(to)}, ${memory_count} memories`,
          ...memories.map((memory) => glimpse(memory)),
        ]),
      );
