import { Refusal } from "../refusal.ts";
import { ghostAim, type Twins } from "./aims.ts";
import { opensOneSpace } from "./cast.ts";
import { METHOD_PROBES } from "./method_probes.ts";
import { keysIn } from "./needles.ts";
import { codeIn } from "./plant.ts";
import type { Aim } from "./probe.ts";
import { ROUTE_PROBES, TOOL_PROBES } from "./probes.ts";
import { type Listener, type Notes, openNotes, type Report } from "./report.ts";
import { callsOf, twinsDiffer } from "./walk.ts";
import { type Answer, type Ask, textOf } from "./world.ts";

/** Somebody of a deployment: the token, and what the deployment says of it. */
interface Holder {
  readonly token: string;
  readonly user: string;
  readonly org: string;
  readonly grants: readonly string[];
  readonly memories: readonly { id: string; content: string }[];
}

const MOST_MEMORIES = 5;
/** Shorter texts may well be said by two people. */
const SHORTEST_TEXT = 24;
const MOST_WAITS = 5;
const MOST_TRIES = 3;

/**
 * Asks a deployment with the tokens of two users who share nothing, and only reads: each asks for what the other has and
 * for what nobody has, which must be answered alike, and nothing the other stores may occur in any answer. Throws a
 * Refusal where the deployment does not answer, or the tokens are not such two.
 */
export async function checkDeployment(
  base: string,
  tokens: readonly [string, string],
  listener: Listener = {},
): Promise<Report> {
  const notes = openNotes(listener);
  const ask = asker(base.replace(/\/+$/, ""), notes);
  const [one, other] = [await holderOf(ask, tokens[0]), await holderOf(ask, tokens[1])];
  if (one.org === other.org && one.user === other.user)
    throw new Refusal("usage", "Both tokens are of the same user; leak-check needs those of two who share nothing.");
  const may_share = one.org === other.org && opensOneSpace(one.grants, other.grants);
  await notes.run("twins", async () => {
    if (may_share) return "skipped: the two tokens share a space, so either may see what the other has";
    const pairs = (await aim(ask, notes, one, other)) + (await aim(ask, notes, other, one));
    return `${pairs} questions about what the other has, each beside one about what nobody has`;
  });
  return notes.report();
}

type Asker = ReturnType<typeof asker>;

/** Waits as long as a rate limit says, a few times. */
function asker(base: string, notes: Notes) {
  return async function ask(token: string, { method, path, headers, body }: Ask, waits = MOST_WAITS): Promise<Answer> {
    const response = await fetch(base + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: "manual",
    }).catch((error: unknown) => {
      throw new Refusal("failed", `${base} does not answer.`, error);
    });
    const text = await textOf(response);
    notes.count(text.length);
    if (response.status === 429 && waits > 0) {
      await Bun.sleep(Number(response.headers.get("retry-after") ?? 1) * 1000);
      return ask(token, { method, path, ...(headers && { headers }), body }, waits - 1);
    }
    return { status: response.status, headers: [...response.headers], text };
  };
}

async function holderOf(ask: Asker, token: string): Promise<Holder> {
  const me = await ask(token, { method: "GET", path: "/api/v1/tokens/me" });
  const list = await ask(token, { method: "GET", path: "/api/v1/memories?size=100&states=active,paused,archived" });
  for (const answer of [me, list])
    if (answer.status !== 200)
      throw new Refusal(
        "failed",
        `A token was answered ${answer.status} ${codeIn(answer)}; leak-check needs memories:read.`,
      );
  // What our own routes answer, by their schemas.
  const { user, org, grants } = JSON.parse(me.text) as Holder;
  const { items } = JSON.parse(list.text) as { items: Holder["memories"] };
  return { token, user, org, grants, memories: items };
}

/** What reads, asked by one about what another has; gives how often. */
async function aim(ask: Asker, notes: Notes, caller: Holder, victim: Holder): Promise<number> {
  const ids = victim.memories.slice(0, MOST_MEMORIES).map(({ id }) => id);
  const ghost = { ...ghostAim(Math.max(1, ids.length)), space: "team:nobody-has-this" };
  // Only ids are the victim's; everything else is the ghost's own in both, so that an own hit changes nothing.
  const aimed: Aim = { ...ghost, ids: ids.length > 0 ? ids : ghost.ids, id: ids[0] ?? ghost.id };
  const own = new Set(caller.memories.map(({ content }) => content));
  const texts = victim.memories
    .map(({ content }) => content)
    .filter((text) => text.length >= SHORTEST_TEXT && !own.has(text));
  const known = new Set(victim.memories.map(({ id }) => id.replaceAll("-", "")));
  const twins = { aim: aimed, ghost };
  const askBoth = async (question: Ask, other: Ask) =>
    [await ask(caller.token, question), await ask(caller.token, other)] as const;
  let asked = 0;
  const calls = callsOf({ routes: ROUTE_PROBES, tools: TOOL_PROBES, methods: METHOD_PROBES });
  for (const { probe, reads, is_of_org, asks } of calls) {
    // A colleague may be told of what was done in the org.
    if (!reads || (is_of_org && caller.org === victim.org)) continue;
    const ghosts = asks(ghost);
    for (const [index, question] of asks(aimed).entries()) {
      const other = ghosts[index];
      if (!other) continue;
      const [answers, parts] = await settled(() => askBoth(question, other), twins);
      asked++;
      for (const part of parts)
        notes.find(
          `${probe} as ${caller.user}: the ${part} for what ${victim.user} has differs from that for what nobody has.`,
        );
      for (const answer of answers) scan(notes, probe, caller, victim, question, answer, { known, texts });
    }
  }
  return asked;
}

type Both = readonly [Answer, Answer];

/** A deployment is at work: only what differs every time differs. */
async function settled(
  askBoth: () => Promise<Both>,
  twins: Twins,
  tries = MOST_TRIES,
): Promise<readonly [Both, string[]]> {
  const answers = await askBoth();
  const parts = twinsDiffer(answers, twins);
  return parts.length === 0 || tries === 1 ? [answers, parts] : settled(askBoth, twins, tries - 1);
}

function scan(
  notes: Notes,
  probe: string,
  caller: Holder,
  victim: Holder,
  question: Ask,
  answer: Answer,
  { known, texts }: { known: ReadonlySet<string>; texts: readonly string[] },
) {
  const whole = `${answer.headers.join("\n")}\n${answer.text}`;
  const repeated = keysIn(JSON.stringify([question.path, question.body]));
  if ([...keysIn(whole)].some((key) => known.has(key) && !repeated.has(key)))
    notes.find(`${probe} as ${caller.user}: an answer holds the id of a memory of ${victim.user}.`);
  if (texts.some((text) => whole.includes(JSON.stringify(text).slice(1, -1))))
    notes.find(`${probe} as ${caller.user}: an answer holds what a memory of ${victim.user} says.`);
}
