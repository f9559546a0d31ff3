import { OFFER } from "../mcp/offer.ts";
import { catalogFaults } from "../ops/catalog.ts";
import { messageOf } from "../refusal.ts";
import {
  checkContext,
  checkControls,
  compareFingerprints,
  type Fingerprints,
  fingerprints,
  memoryIds,
} from "./afterwards.ts";
import { openTwins } from "./aims.ts";
import type { Depth } from "./cast.ts";
import { compareCounts } from "./counts.ts";
import { checkCoverage, collectIds } from "./coverage.ts";
import { crowd } from "./crowd.ts";
import { METHOD_PROBES } from "./method_probes.ts";
import { type Planted, plant } from "./plant.ts";
import { ROUTE_PROBES, TOOL_PROBES } from "./probes.ts";
import { type Listener, type Notes, openNotes, PHASES, type Phase, type Report } from "./report.ts";
import { tryScopes } from "./scopes.ts";
import { checkProbes, type Parties, type Probes, walk, walkStreams } from "./walk.ts";
import { type Cast, copyOf, openCast, openWorld, type Tamper, type Urls, type World } from "./world.ts";

/** How a check is run; all of it is what `brain leak-check` does. */
export interface LeakCheckOptions extends Listener {
  readonly depth?: Depth;
  readonly phases?: readonly Phase[];
  readonly probes?: Probes;
  readonly tamper?: Tamper;
  /** What `sow` has planted in the database of which this one is a copy: nothing is planted then. */
  readonly sown?: Sown;
  /** Runs when all is planted and before anybody attacks: tests break the wall there. */
  readonly planted?: () => Promise<unknown>;
  /** Ends it, with what `throwIfAborted` throws. */
  readonly signal?: AbortSignal;
}

/** The canaries, as they lie in a database and in its copies. */
export interface Sown {
  readonly cast: Cast;
  readonly ground: Ground;
}

const ROWS: Record<Depth, number> = { short: 200, full: 1000 };

/**
 * Plants canaries in a scratch database, attacks the application on it as everybody, and tells what came through. The
 * database must be migrated and empty but for what was sown, and is left full. Throws what PostgreSQL throws where it cannot be reached.
 */
export async function checkLeaks(urls: Urls, options: LeakCheckOptions = {}): Promise<Report> {
  const { depth = "full", phases = PHASES, tamper, sown, planted, signal } = options;
  const { probes = { routes: ROUTE_PROBES, tools: TOOL_PROBES, methods: METHOD_PROBES } } = options;
  const notes = openNotes(options);
  const world = await openWorld(urls, notes, sown ? copyOf(sown.cast) : openCast(depth), tamper, signal);
  try {
    const ground = sown?.ground ?? (await plantAll(world, notes, signal));
    await planted?.();
    const work = workOf(world, ground, probes, depth);
    for (const phase of PHASES)
      if (isAsked(phase, phases) && phase !== "canaries" && (ground.people.length > 0 || phase === "catalog"))
        await notes.run(phase, () => toItsEnd(work[phase], notes, signal));
    return onlyOf(notes.report(), [...phases, "canaries"]);
  } finally {
    await world.close();
  }
}

/**
 * Plants the canaries and no more, for checks of the same depth on copies of the database. Throws an Error where that
 * cannot be done.
 */
export async function sow(urls: Urls, depth: Depth): Promise<Sown> {
  const notes = openNotes();
  const cast = openCast(depth);
  const world = await openWorld(urls, notes, cast);
  try {
    const ground = await plantAll(world, notes, undefined);
    const [fault] = notes.report().findings;
    if (fault) throw new Error(fault.said);
    return { cast, ground };
  } finally {
    await world.close();
  }
}

/** What stops halfway has not found that nothing leaks. Throws only what the signal is aborted with. */
async function toItsEnd(work: () => Promise<string>, notes: Notes, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    notes.find(`It did not get to its end: ${messageOf(error)}.`);
    return "not all";
  }
}

/** What lies there before anybody attacks. */
export interface Ground {
  readonly people: readonly Planted[];
  readonly before: Fingerprints;
  readonly ids: ReadonlySet<string>;
}

/** Where planting fails the wall is broken in a way that shows at once, and there is nothing to attack. */
async function plantAll(world: World, notes: Notes, signal: AbortSignal | undefined): Promise<Ground> {
  let people: Planted[] = [];
  await notes.run("canaries", async () => {
    try {
      people = await plant(world);
    } catch (error) {
      signal?.throwIfAborted();
      notes.find(`The canaries could not be planted: ${messageOf(error)}.`);
      return "nothing";
    }
    const ids = await collectIds(world);
    return `${await checkCoverage(world)}, ${world.people.length} people, ${ids} ids`;
  });
  return { people, before: await fingerprints(world), ids: await memoryIds(world) };
}

function workOf(world: World, { people, before, ids }: Ground, probes: Probes, depth: Depth) {
  const twinsFor = openTwins(world);
  const is_short = depth === "short";
  // The orgs are alike: in short the first one's people attack, and all are attacked.
  const crowding = is_short ? people.filter(({ person }) => person.org === people[0]?.person.org) : people;
  // Of whom the first asks after a twin elsewhere and the second after a colleague: the third would be another twin.
  const callers = is_short ? crowding.slice(0, 2) : crowding;
  const parties: Parties = { callers, planted: people };
  return {
    canaries: async () => "",
    probes: () => {
      checkProbes(world, OFFER, probes);
      return walk(world, parties, twinsFor, probes, is_short ? "one" : "all");
    },
    twins: async () => "the answers of the probes, each beside one to what nobody has",
    streams: () => walkStreams(world, parties, twinsFor, probes),
    counts: () =>
      compareCounts(world, is_short ? { callers: callers.slice(0, 1), planted: people } : parties, probes, ROWS[depth]),
    scopes: () => tryScopes(world, probes),
    crowd: () =>
      crowd(world, { ...parties, callers: crowding }, twinsFor, probes, is_short ? "one" : "two", is_short ? 1 : 3),
    fingerprints: () => compareFingerprints(world, before, ids),
    controls: () => checkControls(world, people),
    context: () => checkContext(world),
    catalog: async () => {
      for (const fault of await catalogFaults(world.owner)) world.notes.find(`${fault}.`);
      return "row security, policies, keys, functions, roles and grants";
    },
  } satisfies Record<Phase, () => Promise<string>>;
}

/** The twins are found on the walk of the probes. */
const isAsked = (phase: Phase, phases: readonly Phase[]) =>
  phases.includes(phase) || (phase === "probes" && phases.includes("twins"));

/** Without what was found on the way to what was asked for. */
const onlyOf = (report: Report, phases: readonly Phase[]): Report => ({
  phases: report.phases,
  findings: report.findings.filter(({ phase }) => phases.includes(phase)),
});
