import { mayOpen, type Person } from "./cast.ts";
import { randomWord } from "./needles.ts";
import { fieldsFor, type Planted, type PlantedMemory } from "./plant.ts";
import type { Aim } from "./probe.ts";
import type { World } from "./world.ts";

/** What a caller aims at a victim with, and the ghost that must be answered alike. */
export interface Twins {
  readonly aim: Aim;
  readonly ghost: Aim;
}

const MOST_IDS = 3;

/** Ids and names that stand for nothing there is. */
export function ghostAim(ids = 1): Aim {
  const made = Array.from({ length: ids }, () => crypto.randomUUID() as string);
  // Shaped like a canary, so that searches take it for the same kind of word.
  const word = () => `gh7s${randomWord()}`;
  return {
    ids: made,
    id: made[0] ?? "",
    content: word(),
    key: word(),
    entity: word(),
    thread: word(),
    tag: word(),
    artifact_ref: word(),
    space: `team:${word()}`,
    sub: word(),
    session_id: crypto.randomUUID().replaceAll("-", ""),
    jti: word(),
    app_id: crypto.randomUUID(),
    relation_id: crypto.randomUUID(),
    merge_id: crypto.randomUUID(),
    event_id: crypto.randomUUID(),
    own_id: crypto.randomUUID(),
  };
}

export type TwinsFor = ReturnType<typeof openTwins>;

/**
 * Gives an aim and its ghost for a caller and a victim, always the same two: what the caller stores of the one it stores
 * of the other, as often and in the same order. What the caller may open is not among them: of a victim with the
 * caller's own name or space, both name what nobody has. `session_id` is a session of the victim's.
 */
export function openTwins(world: World) {
  const made = new Map<string, Promise<Twins>>();
  return async (caller: Person, victim: Planted, session_id = victim.session_id): Promise<Twins> => {
    const key = JSON.stringify([caller, victim.person]);
    const known = made.get(key) ?? makeTwins(world, caller, victim);
    made.set(key, known);
    const { aim, ghost } = await known;
    return { aim: { ...aim, session_id }, ghost };
  };
}

/** Gives twins with one of their ids. Those of a victim take turns, so that each is asked for by many. */
export function openTurns() {
  const turns = new Map<Planted, number>();
  return (victim: Planted, { aim, ghost }: Twins): Twins => {
    const turn = turns.get(victim) ?? 0;
    turns.set(victim, turn + 1);
    const place = turn % aim.ids.length;
    const only = ({ ids, ...others }: Aim): Aim => ({
      ...others,
      ids: ids.slice(place, place + 1),
      id: ids[place] ?? "",
    });
    return { aim: only(aim), ghost: only(ghost) };
  };
}

async function makeTwins(world: World, caller: Person, victim: Planted): Promise<Twins> {
  const { person, bait, entity, thread, tag, artifact_ref, jti, session_id } = victim;
  const ids = idsHiddenFrom(caller, victim).slice(0, world.depth === "short" ? MOST_IDS : undefined);
  const ghost = ghostAim(ids.length);
  const spaces = person.spaces.filter((space) => !mayOpen(caller, space));
  const said = victim.said.find(({ space }) => isHiddenFrom(caller, person, space));
  const [app] = await world.owner<{ id: string }[]>`select id from brain.apps where name = ${victim.app}`;
  const aim: Aim = {
    ids,
    id: ids[0] ?? ghost.id,
    content: bait.content,
    key: bait.key,
    entity,
    thread,
    tag,
    artifact_ref,
    space: spaces.at(-1) ?? ghost.space,
    sub: person.sub === caller.sub ? ghost.sub : person.sub,
    session_id,
    jti,
    app_id: app?.id ?? ghost.app_id,
    relation_id: said?.relation_id ?? ghost.relation_id,
    merge_id: said?.merge_id ?? ghost.merge_id,
    event_id: said?.event_id ?? ghost.event_id,
    own_id: await ownMemory(world, caller),
  };
  return { aim, ghost: { ...ghost, own_id: await ownMemory(world, caller) } };
}

const isHiddenFrom = (caller: Person, { org }: Person, space: string) => org !== caller.org || !mayOpen(caller, space);

/** One memory of each fate that the caller may not see, the bait among them. */
function idsHiddenFrom(caller: Person, { person, memories, bait }: Planted): string[] {
  const hidden = memories.filter(({ space }) => isHiddenFrom(caller, person, space));
  const by_fate = new Map<string, PlantedMemory>(hidden.map((memory) => [memory.fate, memory]));
  return [bait.id, ...[...by_fate.values()].reverse().map(({ id }) => id)];
}

async function ownMemory(world: World, caller: Person): Promise<string> {
  const [home] = caller.spaces;
  const body = fieldsFor(world, caller, home, randomWord(8));
  const { text } = await world.ask(caller, { method: "POST", path: "/api/v1/memories", body }, { may_store: true });
  return /"id":"([\da-f-]{36})"/.exec(text)?.[1] ?? crypto.randomUUID();
}
