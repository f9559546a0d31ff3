import { mayView, nameOf, type Person } from "./cast.ts";
import { randomWord } from "./needles.ts";
import type { Planted } from "./plant.ts";
import { messagesOf, overMcp, type Parties, type Probes, steady } from "./walk.ts";
import type { Ask, World } from "./world.ts";

const BATCH = 100;
const MOST_IDS = 8;

/**
 * What callers count, find and score must not change by what others store. Each one's lists and searches are asked for,
 * then in each org somebody whom nobody knows stores rows in a space of their own, made of the callers' own words, and
 * all is asked for again.
 */
export async function compareCounts(
  world: World,
  { callers, planted }: Parties,
  probes: Probes,
  rows: number,
): Promise<string> {
  const before = new Map<Ask, string>();
  const views = callers.map((one) => ({ caller: one.person, asks: viewsOf(one, planted, probes) }));
  await ask((asked, answer) => before.set(asked, answer));
  await flood(world, planted, rows);
  await ask((asked, answer, caller, probe) => {
    if (before.get(asked) !== answer)
      world.notes.find(`${probe} as ${nameOf(caller)}: the answer changed when others stored something.`);
  });
  return `${before.size} lists, searches and counts, before and after ${rows} rows of a colleague and of a stranger each`;

  async function ask(heard: (asked: Ask, answer: string, caller: Person, probe: string) => void) {
    for (const { caller, asks } of views)
      for (const [probe, asked] of asks) {
        const { status, headers, body } = steadyOf(await world.ask(caller, asked, { probe }));
        heard(asked, JSON.stringify([status, headers, body]), caller, probe);
      }
  }
}

/** With ids and times as they are: these are the caller's own and must stay. */
const steadyOf = (answer: Parameters<typeof steady>[0]) => ({
  ...steady(answer),
  body: answer.text.replace(
    /(\\?"(?:took_ms|request_id|generated_at|sha256)\\?": ?)(\\?"[^"]*"|[\d.]+)/g,
    "$1<passing>",
  ),
});

/** What a caller asks about its own, and about each memory of its org that has been in another space before. */
function viewsOf({ person, words }: Planted, planted: readonly Planted[], { routes, ...probes }: Probes) {
  const others = planted.filter((one) => one.person.org === person.org && one.person !== person);
  const moved = others.flatMap(({ memories }) => memories.filter(({ fate }) => fate === "moved"));
  const mine = planted.find((one) => one.person === person)?.memories ?? [];
  const ids = [...moved.filter(({ space }) => mayView(person, [{ org: person.org, space }])), ...mine].slice(
    0,
    MOST_IDS,
  );
  const own = { words: `${words} ${others[0]?.words ?? ""}`.trim(), ids: ids.map(({ id }) => id) };
  return [
    ...Object.entries(routes).flatMap(([name, { views }]) =>
      (views?.(own) ?? []).map((asked) => [name, asked] as const),
    ),
    ...messagesOf(probes).flatMap(({ probe, views }) =>
      views(own).map((message) => [probe, overMcp(message)] as const),
    ),
  ];
}

async function flood(world: World, planted: readonly Planted[], rows: number) {
  const words = planted.flatMap((one) => one.words.split(" "));
  for (const org of new Set(planted.map(({ person }) => person.org))) {
    const stranger: Person = { org, sub: `flo-${randomWord(6)}`, grants: [], spaces: ["user:flo"] };
    for (let stored = 0; stored < rows; stored += BATCH) {
      const memories = Array.from({ length: Math.min(BATCH, rows - stored) }, (_, index) => {
        const canary = (column: string) =>
          world.haystack.canary(`brain.memories.${column}`, { org, sub: stranger.sub });
        const { entity = "", tag = "", thread } = planted[index % planted.length] ?? {};
        return {
          content: `${canary("content")} ${words.slice((index * 2) % words.length).join(" ")}`,
          // Names of others in another spelling: whoever groups over all would show that one.
          entities: [canary("entities"), entity.toUpperCase()],
          tags: [canary("tags"), tag],
          thread,
        };
      });
      const asked = { method: "POST", path: "/api/v1/memories/batch", body: { memories } };
      const { status } = await world.ask(stranger, asked, { may_store: true });
      if (status !== 201) throw new Error(`${asked.path} of ${stranger.sub} was answered ${status}`);
    }
  }
}
