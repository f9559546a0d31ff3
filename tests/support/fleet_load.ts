import type postgres from "postgres";
import type { Fleet } from "./fleet.ts";
import { listenBy, post } from "./streams.ts";
import { type Person, tokenFor } from "./world.ts";

/** What the callers of a fleet met. */
export interface FleetReport {
  /** Requests answered as they must be. */
  answered: number;
  /** Contents whose storing was answered, with who stored them. */
  stored: Map<string, string>;
  /** Requests whose connection broke, or that got no answer. */
  broken: string[];
  /** Answers that must not be. */
  faults: string[];
}

/** Callers that store and read by turns and ask who they are, and rest for as long, until they are stopped. */
export function startCallers(fleet: Fleet, people: readonly Person[], rest_ms: number) {
  const report: FleetReport = { answered: 0, stored: new Map(), broken: [], faults: [] };
  let is_over = false;
  const live = async (person: Person) => {
    const headers = { authorization: `Bearer ${await tokenFor(person)}`, "content-type": "application/json" };
    const ask = async (method: string, path: string, expected: number, body?: object) => {
      let response: Response;
      let text: string;
      try {
        response = await fleet.ask(path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
        text = await response.text();
      } catch (error) {
        report.broken.push(`${method} ${path} of ${person.sub}: ${error}`);
        return undefined;
      }
      if (response.status !== expected) {
        report.faults.push(`${method} ${path} of ${person.sub}: ${response.status} ${text}`);
        return undefined;
      }
      report.answered++;
      return JSON.parse(text);
    };
    for (; !is_over; await Bun.sleep(rest_ms)) {
      const content = `${person.sub} ${crypto.randomUUID()}`;
      const memory = await ask("POST", "/api/v1/memories", 201, { content });
      if (memory) report.stored.set(content, person.sub);
      const me = await ask("GET", "/api/v1/tokens/me", 200);
      if (me && (me.user !== person.sub || me.org !== person.org))
        report.faults.push(`${person.sub} of ${person.org} was taken for ${me.user} of ${me.org}`);
      const read = memory && (await ask("GET", `/api/v1/memories/${memory.id}`, 200));
      if (read && (read.content !== content || read.owner !== person.sub))
        report.faults.push(`${person.sub} read what ${read.owner} stored: ${read.content}`);
    }
  };
  const living = Promise.all(people.map(live));
  return {
    report,
    async stop() {
      is_over = true;
      await living;
    },
  };
}

/** Contents that were stored according to an answer and are not there, or not their writer's, or there twice. */
export async function lostWrites(owner: postgres.Sql, { stored }: FleetReport): Promise<string[]> {
  const rows = await owner<{ content: string; owner: string }[]>`select content, owner from brain.memories`;
  const there = Map.groupBy(rows, ({ content }) => content);
  return [...stored].flatMap(([content, sub]) => {
    const found = there.get(content) ?? [];
    return found.length === 1 && found[0]?.owner === sub ? [] : [`${content}: ${JSON.stringify(found)}`];
  });
}

/** A legacy stream held by one process, and calls that reach it by all of them; gives what came, in any order. */
export async function callThrough(fleet: Fleet, person: Person, place: number, calls: number): Promise<unknown[]> {
  const { endpoint, message, leave } = await listenBy(person, fleet.urlOf(place));
  const came: unknown[] = [];
  const all = (async () => {
    while (came.length < calls) came.push(((await message()) as { id: unknown } | undefined)?.id);
  })();
  for (let id = 0; id < calls; id++)
    await post(person, endpoint, { jsonrpc: "2.0", id, method: "ping" }, fleet.urlOf(place + id));
  await all;
  leave();
  return came;
}
