import type { TwinsFor } from "./aims.ts";
import { nameOf, type Person } from "./cast.ts";
import { codeIn } from "./plant.ts";
import { callsOf, type Parties, type Probes, pairsOf, type Victims } from "./walk.ts";
import type { Ask, AskOptions, World } from "./world.ts";

/** Many for a few connections. */
const AT_ONCE = 200;
/** How often each asks: on a busy machine some wait longer than the service lets them. */
const TRIES = 5;

/** What only reads, by all callers at the same time, over the pool's few connections. Every answer is scanned. */
export async function crowd(
  world: World,
  parties: Parties,
  twinsFor: TwinsFor,
  probes: Probes,
  victims: Victims,
  rounds: number,
): Promise<string> {
  const calls = callsOf(probes).filter(({ reads }) => reads);
  const asks: { caller: Person; asked: Ask; options: AskOptions }[] = [];
  for (const { caller, victims: those } of pairsOf(parties, victims))
    for (const victim of those) {
      const { aim } = await twinsFor(caller, victim);
      for (const { probe, is_of_org, asks: asksOf } of calls)
        for (const asked of asksOf(aim))
          asks.push({ caller, asked, options: { probe: `${probe} in a crowd`, is_of_org } });
    }
  for (let round = 0; round < rounds; round++) {
    const waiting = shuffled(asks).values();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (const { caller, asked, options } of waiting)
          for (let tries = 1; codeIn(await world.ask(caller, asked, options)) === "UNAVAILABLE"; tries++)
            if (tries === TRIES) {
              world.notes.find(`${options.probe} as ${nameOf(caller)}: not answered, so nothing was seen of it.`);
              break;
            }
      }),
    );
    world.notes.come(`${round + 1} of ${rounds} times`);
  }
  return `${asks.length} requests, ${AT_ONCE} at once, ${rounds} times`;
}

/** So that no caller's requests stay together. */
const shuffled = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
