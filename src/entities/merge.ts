import type { Caller, Tx } from "../db.ts";
import { type FieldError, invalidInput, notFound, Problem } from "../problem.ts";
import { namesOf } from "./comentions.ts";
import { likelyDuplicates, type NameOfSpace, SURE_ENOUGH } from "./duplicates.ts";
import { applyIn, countsIn } from "./merge_rows.ts";
import { entitiesNamed, nameOf } from "./names.ts";
import {
  MAX_GROUPS,
  type Merge,
  type MergeAnswer,
  type MergeRequest,
  type SemanticMergeRequest,
  USUAL_THRESHOLD,
} from "./normalization_schema.ts";
import { type Likely, type Likeness, likeness } from "./similar.ts";

/** A name to merge into another, and why where that was found and not told. */
interface Variant {
  readonly key: string;
  readonly name: string;
  readonly likeness: Likeness | null;
}

/** Names that are to count for one; `space_id` null: in every space that has one of them. */
interface Group {
  readonly canonical: { readonly key: string; readonly name: string };
  readonly variants: readonly Variant[];
  readonly space_id: number | null;
}

/** An entity of a space as it stands. */
interface Row {
  space_id: number;
  access_entity: string;
  key: string;
  display_name: string;
  merged_into: string | null;
}

/** One that is to count for the canonical one, for a variant's sake: itself, or what was merged into it before. */
export interface Change {
  readonly group: number;
  readonly variant: number;
  readonly space_id: number;
  readonly access_entity: string;
  readonly key: string;
  readonly was: string | null;
  readonly into: string;
  readonly into_name: string;
}

/**
 * Makes names count for one of them, in one space or in all that have them; with `dry_run`, the default, only tells what
 * would change. `auto` takes what the duplicates say. Throws INVALID_INPUT, NOT_FOUND for a name nothing is called by,
 * CONFLICT where one is merged elsewhere already, APP_PAUSED.
 */
export const mergeEntities = (caller: Caller, request: MergeRequest): Promise<MergeAnswer> =>
  merge(caller, request, SURE_ENOUGH);

/** The same, its `auto` by whatever is as sure as the threshold wants. */
export const mergeSemantically = (
  caller: Caller,
  { threshold, ...request }: SemanticMergeRequest,
): Promise<MergeAnswer> => merge(caller, request, threshold ?? USUAL_THRESHOLD);

async function merge(caller: Caller, request: MergeRequest, threshold: number): Promise<MergeAnswer> {
  const { canonical, variants, auto = false, dry_run = true, access_entity } = request;
  const errors = faultsIn(request);
  if (errors.length > 0) throw invalidInput(errors);

  const likely = auto ? await likelyDuplicates(caller, access_entity, threshold) : { groups: [], is_cut: false };
  const work = async (tx: Tx): Promise<MergeAnswer> => {
    const found =
      canonical === undefined || variants === undefined
        ? { groups: groupsOf(likely.groups), total: likely.groups.length, is_cut: likely.is_cut }
        : { groups: [await toldGroup(tx, canonical, variants)], total: 1, is_cut: false };
    const changes = await changesIn(tx, found.groups, { access_entity, is_told: !auto, is_locked: !dry_run });
    const counts = await countsIn(tx, changes);
    const ids = dry_run ? [] : await applyIn(tx, changes);
    const merges = found.groups.map((group, number): Merge => {
      const own = changes.filter((change) => change.group === number);
      const [whole, of_variants] = counts.of(number);
      return {
        merge_id: ids[number] ?? null,
        canonical: group.canonical.name,
        access_entities: [...new Set(own.map((change) => change.access_entity))].sort(),
        variants: group.variants.map(({ name, likeness }, place) => ({
          name,
          ...of_variants(place),
          why: likeness?.why ?? null,
          confidence: likeness?.confidence ?? null,
        })),
        ...whole,
      };
    });
    // What somebody else merged in between is not told of; what the caller named is, even where nothing is left to do.
    const told = auto ? merges.filter(({ access_entities }) => access_entities.length > 0) : merges;
    return { dry_run, method: "strings", merges: told, total: found.total, is_cut: found.is_cut };
  };
  return dry_run ? caller.read(work) : caller.write(work);
}

function faultsIn({ canonical, variants, auto = false }: MergeRequest): FieldError[] {
  const given = { canonical, variants };
  return Object.entries(given).flatMap(([at, value]) => {
    if (auto && value !== undefined) return [{ at, message: "goes without auto" }];
    return !auto && value === undefined ? [{ at, message: "is required without auto" }] : [];
  });
}

const groupsOf = (likely: readonly Likely<NameOfSpace>[]): Group[] =>
  likely.slice(0, MAX_GROUPS).map(({ canonical, variants }) => ({
    canonical,
    variants: variants.map(({ key, name, why, confidence }) => ({ key, name, likeness: { why, confidence } })),
    space_id: canonical.space_id,
  }));

/** What a caller wants to be one. Throws NOT_FOUND where something is called by none of the names, INVALID_INPUT. */
async function toldGroup(tx: Tx, canonical: string, variants: readonly string[]): Promise<Group> {
  const found = await entitiesNamed(tx, [canonical, ...variants]);
  if (found.includes(null)) throw notFound("entity");
  const [own, ...others] = await tx<{ key: string; name: string }[]>`
    select key, ${nameOf(tx, tx`keys.key`)} as name
    from (
      select app.entity_key(name) as key, place
      from unnest(${[canonical, ...variants]}::text[]) with ordinality as asked (name, place)
    ) as keys
    order by place`;
  if (!own) throw new Error("a name gave no key");
  const errors = others.flatMap(({ key }, index) =>
    key === own.key ? [{ at: `variants.${index}`, message: "is canonical itself, in this or another spelling" }] : [],
  );
  if (errors.length > 0) throw invalidInput(errors);
  const told = new Map(others.map((other) => [other.key, other]));
  return {
    canonical: own,
    variants: [...told.values()].map((other) => ({ ...other, likeness: likeness(own.name, other.name) })),
    space_id: null,
  };
}

interface Conditions {
  access_entity: string | undefined;
  /** The caller has named them: what stands in the way is a problem, and nothing to be passed over. */
  is_told: boolean;
  is_locked: boolean;
}

/** What has to change for the groups, with the rows locked where it is going to. Throws NOT_FOUND, CONFLICT. */
async function changesIn(tx: Tx, groups: readonly Group[], conditions: Conditions): Promise<Change[]> {
  const rows = await rowsIn(tx, groups, conditions);
  const below = await rowsBelow(tx, groups, conditions);
  const obstacles: { what: string; into: string; access_entity: string }[] = [];
  const changes = groups.flatMap(({ canonical, variants, space_id }, group) => {
    const inside = (row: Row) => space_id === null || row.space_id === space_id;
    const canonicals = rows.filter((row) => row.key === canonical.key && inside(row));
    return variants.flatMap(({ key }, variant) => {
      const there = rows.filter((row) => row.key === key && inside(row));
      if (conditions.is_told && there.length === 0) throw notFound("entity");
      return there.flatMap((row) => {
        const target = canonicals.find((one) => one.space_id === row.space_id);
        // It counts for the canonical one already, or goes along with another variant.
        if ([canonical, ...variants].some((one) => one.key === row.merged_into)) return [];
        const into = target?.merged_into ?? row.merged_into;
        if (into) {
          const what = target?.merged_into ? "canonical" : "a variant";
          obstacles.push({ what, into, access_entity: row.access_entity });
          return [];
        }
        const change = { group, variant, into: canonical.key, into_name: target?.display_name ?? canonical.name };
        return [row, ...below.filter((one) => one.space_id === row.space_id && one.merged_into === key)].map(
          ({ space_id, access_entity, key, merged_into }) => ({
            ...change,
            space_id,
            access_entity,
            key,
            was: merged_into,
          }),
        );
      });
    });
  });
  const [first] = obstacles;
  if (first && conditions.is_told) {
    const names = await namesOf(tx, [first.into]);
    throw alreadyMerged(first.what, names.get(first.into) ?? first.into, first.access_entity);
  }
  return changes;
}

function alreadyMerged(what: string, name: string, access_entity: string): Problem {
  return new Problem("CONFLICT", `What is named as ${what} has been merged into another entity of a space already.`, {
    options: [name, access_entity],
    hint: "The options are that entity and the space. Undo that merge first, or merge with that entity.",
  });
}

/** The groups' names as keys, each where its group is. */
const keysOf = (groups: readonly Group[]) =>
  JSON.stringify(
    groups.flatMap(({ canonical, variants, space_id }) =>
      [canonical, ...variants].map(({ key }) => ({ key, of_space: space_id })),
    ),
  );

/** The entities of those names, in one order: two merges that cross wait for each other, and do not lock each other out. */
const rowsIn = (tx: Tx, groups: readonly Group[], { access_entity, is_locked }: Conditions): Promise<Row[]> => tx<
  Row[]
>`
  select entities.space_id, access_entity, entities.key, display_name, merged_into
  from (
    select distinct key, of_space from json_to_recordset(${keysOf(groups)}::text::json) as asked (key text, of_space int)
  ) as asked
  join brain.entities on entities.key = asked.key and (of_space is null or entities.space_id = of_space)
  join brain.spaces on spaces.id = entities.space_id
  where (${access_entity ?? null}::text is null or access_entity = ${access_entity ?? null})
  order by entities.space_id, entities.key
  ${is_locked ? tx`for update of entities` : tx``}`;

/** What was merged into one of those names before: it goes where that one goes, so that a name leads on by one step. */
const rowsBelow = (tx: Tx, groups: readonly Group[], { access_entity, is_locked }: Conditions): Promise<Row[]> => tx<
  Row[]
>`
  select entities.space_id, access_entity, entities.key, display_name, merged_into
  from (
    select distinct key, of_space from json_to_recordset(${keysOf(groups)}::text::json) as asked (key text, of_space int)
  ) as asked
  join brain.entities on merged_into = asked.key and (of_space is null or entities.space_id = of_space)
  join brain.spaces on spaces.id = entities.space_id
  where (${access_entity ?? null}::text is null or access_entity = ${access_entity ?? null})
  order by entities.space_id, entities.key
  ${is_locked ? tx`for update of entities` : tx``}`;
