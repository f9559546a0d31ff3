import type { Offer } from "../mcp/offer.ts";
import { ghostAim, openTurns, type Twins, type TwinsFor } from "./aims.ts";
import { NOBODY, nameOf, type Person } from "./cast.ts";
import { methodsOf } from "./method_probes.ts";
import type { Planted } from "./plant.ts";
import { type Aim, methodCall, type Own, type RouteProbe, type ToolProbe, toolCall } from "./probe.ts";
import { openStream, type Stream } from "./streams.ts";
import type { Answer, Ask, World } from "./world.ts";

/** What there is to call, and by which probes. */
export interface Probes {
  readonly routes: Readonly<Record<string, RouteProbe>>;
  readonly tools: Readonly<Record<string, ToolProbe>>;
  /** MCP beside the tools: a method, and what it is asked for. */
  readonly methods: Readonly<Record<string, ToolProbe>>;
}

/** A probe and a way to call it. */
interface Call {
  readonly probe: string;
  readonly reads: boolean;
  readonly is_of_org: boolean;
  asks(aim: Aim): readonly Ask[];
}

/** Every probe over the doors that answer at once. */
export const callsOf = ({ routes, ...probes }: Probes): Call[] => [
  ...Object.entries(routes).map(([probe, { reads, is_of_org = false, asks }]) => ({
    probe,
    reads,
    is_of_org,
    asks,
  })),
  ...messagesOf(probes).map(({ probe, reads, asks }) => ({
    probe,
    reads,
    is_of_org: false,
    asks: (aim: Aim) => asks(aim).map(overMcp),
  })),
];

/** A message of MCP. */
export type Message = ReturnType<typeof methodCall>;

/** A probe and the messages to call it by. */
interface MessageProbe extends Pick<ToolProbe, "needs" | "reads"> {
  readonly probe: string;
  asks(aim: Aim): Message[];
  views(own: Own): Message[];
}

/** Every probe of MCP's own, for both of its doors. */
export function messagesOf({ tools, methods }: Pick<Probes, "tools" | "methods">): MessageProbe[] {
  const probeOf = (probe: string, { needs, reads, asks, views }: ToolProbe, call: (given: object) => Message) => ({
    probe,
    needs,
    reads,
    asks: (aim: Aim) => asks(aim).map(call),
    views: (own: Own) => (views?.(own) ?? []).map(call),
  });
  return [
    ...Object.entries(tools).map(([name, probe]) => probeOf(`tool ${name}`, probe, (args) => toolCall(name, args))),
    ...Object.entries(methods).map(([name, probe]) =>
      probeOf(name, probe, (params) => methodCall(name.split(" ", 1)[0] ?? "", params)),
    ),
  ];
}

/** A message over POST /mcp. */
export const overMcp = (body: Message): Ask => ({ method: "POST", path: "/mcp?toolsets=all", body });

/** What is registered must have a probe, and what has a probe must be registered. */
export function checkProbes({ registered, notes }: World, { tools, ...offer }: Offer, probes: Probes) {
  compare("route", registered, probes.routes);
  compare(
    "tool",
    tools.map(({ name }) => name),
    probes.tools,
  );
  compare("method", methodsOf(offer), probes.methods);

  function compare(what: string, there: readonly string[], probes: object) {
    const probed = Object.keys(probes);
    for (const name of there)
      if (!probed.includes(name)) notes.find(`The ${what} ${name} has no probe in src/leaks/.`, "probes");
    for (const name of probed)
      if (!there.includes(name)) notes.find(`The probe ${name} is for no ${what} there is.`, "probes");
  }
}

/** Those who attack, and those who have something, the attackers among them. */
export interface Parties {
  readonly callers: readonly Planted[];
  readonly planted: readonly Planted[];
}

/** How many victims each caller has: everybody else, a colleague and a twin in another org, or by turns one of these. */
export type Victims = "all" | "two" | "one";

/** Pairs of a caller and a victim. */
export function pairsOf({ callers, planted }: Parties, how_many: Victims): { caller: Person; victims: Planted[] }[] {
  return callers.map(({ person: caller }, turn) => {
    const others = planted.filter(({ person }) => person !== caller);
    if (how_many === "all") return { caller, victims: others };
    const colleague = others.find(({ person }) => person.org === caller.org);
    const twin = others.find(({ person }) => person.org !== caller.org && person.sub === caller.sub);
    const two = [twin, colleague].filter((victim) => victim !== undefined);
    return { caller, victims: how_many === "two" ? two : two.slice(turn % 2, (turn % 2) + 1) };
  });
}

/**
 * Everybody asks everything of everybody else, and the same of what is not there. A colleague and a twin are asked for
 * a memory of each fate, others for one; and what aims at nobody is asked beside the questions to those two.
 */
export async function walk(
  world: World,
  parties: Parties,
  twinsFor: TwinsFor,
  probes: Probes,
  victims: Victims,
): Promise<string> {
  const is_public = ({ probe }: Call) => probes.routes[probe]?.needs === "public";
  const calls = callsOf(probes);
  // What is public aims at nothing, and is asked once by each, and by somebody without a token.
  for (const { probe, asks } of calls.filter(is_public))
    for (const caller of [NOBODY, ...world.people])
      for (const asked of asks(ghostAim())) await world.ask(caller, asked, { probe });
  const aimed = calls.filter((call) => !is_public(call));
  const streams = new Map<Person, Stream>();
  for (const { person } of parties.planted) streams.set(person, await openStream(world, person));
  const pairs = pairsOf(parties, victims);
  const count = pairs.flatMap(({ victims }) => victims).length;
  let done = 0;
  const near = pairsOf(parties, "two");
  const inTurn = openTurns();
  await Promise.all(
    pairs.map(async ({ caller, victims }, index) => {
      for (const victim of victims) {
        const all = await twinsFor(caller, victim, streams.get(victim.person)?.session_id ?? "");
        const is_near = near[index]?.victims.includes(victim) ?? false;
        const twins = is_near ? all : inTurn(victim, all);
        for (const call of aimed)
          if (!call.is_of_org || victim.person.org !== caller.org) await callWith(world, caller, call, twins, is_near);
        world.notes.come(`${++done} of ${count} pairs`);
      }
    }),
  );
  await Promise.all([...streams.values()].map((stream) => stream.close()));
  return `${calls.length} probes, ${count} pairs of caller and victim`;
}

/** Asks of both. What is the same of both aims at nobody: it is asked once, or not at all. */
async function callWith(world: World, caller: Person, call: Call, { aim, ghost }: Twins, with_aimless: boolean) {
  const { probe, reads, is_of_org, asks } = call;
  const ghosts = asks(ghost);
  for (const [index, asked] of asks(aim).entries()) {
    const other = ghosts[index];
    if (!other) throw new Error(`the probe ${probe} asks less of what is not there`);
    const options = { probe, may_store: !reads, is_of_org };
    const is_aimless = Bun.deepEquals(asked, other);
    if (is_aimless && !with_aimless) continue;
    const answer = await world.ask(caller, asked, options);
    if (is_aimless) continue;
    compareTwins(world, caller, probe, [answer, await world.ask(caller, other, options)], { aim, ghost });
  }
}

/** The same messages over the legacy door: each to one's own stream, its answer on the stream. */
export async function walkStreams(world: World, parties: Parties, twinsFor: TwinsFor, probes: Probes): Promise<string> {
  const pairs = pairsOf(parties, "one");
  const messages = messagesOf(probes);
  await Promise.all(
    pairs.map(async ({ caller, victims }) => {
      const stream = await openStream(world, caller);
      for (const victim of victims) {
        const twins = await twinsFor(caller, victim);
        for (const { probe: name, reads, asks } of messages) {
          const probe = `${name} over the legacy door`;
          const ghosts = asks(twins.ghost);
          for (const [index, message] of asks(twins.aim).entries()) {
            const ghost = ghosts[index];
            if (!ghost) throw new Error(`the probe ${name} asks less of what is not there`);
            const answer = await stream.call(message, { probe, may_store: !reads });
            const other = await stream.call(ghost, { probe, may_store: !reads });
            compareTwins(world, caller, probe, [answer, other], twins);
          }
        }
      }
      await stream.close();
    }),
  );
  return `${messages.length} tools and methods, ${pairs.length} pairs of caller and victim`;
}

function compareTwins(world: World, caller: Person, probe: string, answers: readonly [Answer, Answer], twins: Twins) {
  for (const part of twinsDiffer(answers, twins))
    world.notes.find(
      `${probe} as ${nameOf(caller)}: the ${part} for what another has differs from that for what nobody has.`,
      "twins",
    );
}

/** In which parts the answers to an aim and to its ghost differ by more than what differs from request to request. */
export function twinsDiffer(answers: readonly [Answer, Answer], { aim, ghost }: Twins) {
  // The same names in both, the longest first: a short one may be a part of another, or of any word.
  const names = [...namesIn(aim), ...namesIn(ghost)].sort(([, a], [, b]) => b.length - a.length);
  const [one, other] = [steady(answers[0], names), steady(answers[1], names)];
  return (["status", "headers", "body"] as const).filter((part) => one[part] !== other[part]);
}

/** Headers that differ from request to request by nature; the length, or that none is told, by the digits of took_ms. The body is compared. */
const PASSING = /^(x-request-id|date|x-ratelimit-.*|retry-after|content-length|transfer-encoding)$/;

/** An answer without what differs from request to request, and with what was aimed at named by its kind. */
export function steady({ status, headers, text }: Answer, names: readonly Name[] = []) {
  const lasting = headers.filter(([name]) => !PASSING.test(name)).map((header) => header.join(": "));
  return { status: String(status), headers: named(lasting.sort().join("\n"), names), body: named(text, names) };
}

type Name = readonly [kind: string, value: string];

const namesIn = (aim: Aim): Name[] =>
  Object.entries(aim).filter((entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "");

/** Ids first: a short name may be a part of one. */
const named = (text: string, names: readonly Name[]): string =>
  names.reduce(
    (result, [kind, value]) => result.replaceAll(value, `<${kind}>`),
    text
      .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/gi, "<uuid>")
      .replace(/[\da-f]{32}/gi, "<hex>")
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)/g, "<time>")
      .replace(/("bytes": )\d+/g, "$1<bytes>") // of an archive that repeats what was asked for
      .replace(/(\\?"took_ms\\?":)[\d.]+/g, "$1<ms>"),
  );
