import { openStandIn } from "./embedder.ts";
import { startFleet } from "./fleet.ts";
import { callThrough, lostWrites, startCallers } from "./fleet_load.ts";
import type { Person, World } from "./world.ts";

/** How long each stretch of the story is, and how much of it there is. */
export interface Story {
  readonly callers: number;
  /** How long a caller rests between its turns of three requests: one that never does keeps the processes awake. */
  readonly rest_ms: number;
  /** Between two events. */
  readonly pause_ms: number;
  /** Processes that are replaced one after the other. */
  readonly replaced: number;
}

const PROCESSES = 3;
const CALLS = 30;

/**
 * Three processes under load: one is killed and started again, then some are replaced one after the other, as a release
 * does. Meanwhile calls of a legacy stream go round the others. Gives what went wrong, by kind.
 */
export async function rolling(world: World, { callers, rest_ms, pause_ms, replaced }: Story) {
  const stand_in = openStandIn();
  const fleet = await startFleet(PROCESSES, {
    DATABASE_URL: world.urls.service_url,
    EMBEDDINGS_URL: stand_in.url,
    EMBEDDINGS_MODEL: "stand-in",
  });
  try {
    const people = Array.from(
      { length: callers },
      (_, index): Person => ({ org: index % 2 ? "umbrella" : "acme", sub: `u${index >> 1}` }),
    );
    const { report, stop } = startCallers(fleet, people, rest_ms);
    await Bun.sleep(pause_ms);

    const before_kill = report.broken.length;
    await fleet.end(0, "SIGKILL");
    const came = await callThrough(fleet, { org: "acme", sub: "listener" }, 1, 2); // to the second and third alone
    await fleet.startAgain(0);
    await Bun.sleep(pause_ms);
    const by_kill = report.broken.length - before_kill;
    came.push(...(await callThrough(fleet, { org: "acme", sub: "listener" }, 0, CALLS)));

    const before_roll = report.broken.length;
    const codes: number[] = [];
    for (let place = 0; place < replaced; place++) {
      codes.push(await fleet.end(place, "SIGTERM"));
      await Bun.sleep(pause_ms);
      await fleet.startAgain(place);
    }
    await stop();

    // Texts that went to the model twice: a job that two processes had.
    const texts = stand_in.state.asked.flatMap((one) => (one as { input: string[] }).input);
    const twice = texts.filter((text, place) => report.stored.has(text) && texts.indexOf(text) !== place);
    return {
      answered: report.answered,
      faults: report.faults,
      embedded: new Set(texts.filter((text) => report.stored.has(text))).size,
      embedded_twice: twice,
      lost_writes: await lostWrites(world.owner, report),
      broken_before: before_kill,
      broken_by_kill: by_kill,
      broken_by_replacing: report.broken.slice(before_roll),
      answers_of_streams: came,
      exit_codes: codes,
      stored: report.stored.size,
    };
  } finally {
    await fleet.stop();
    stand_in.close();
  }
}
