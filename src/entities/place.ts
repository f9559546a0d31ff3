import { isSpaceName } from "../auth/grants.ts";
import type { Caller, Tx } from "../db.ts";
import { spaceFor, spaceId } from "../memories/spaces.ts";
import { invalidInput, notFound } from "../problem.ts";

/** Where something is said: in the space of the memory that says so, else in the one that is asked for. */
interface Place {
  memory_id?: string | undefined;
  access_entity?: string | undefined;
}

/** The id of that space. Throws NOT_FOUND for the memory, INVALID_INPUT, ACCESS_ENTITY_AMBIGUOUS, FORBIDDEN_ACCESS_ENTITY. */
export async function placeIn(tx: Tx, caller: Caller, { memory_id, access_entity }: Place): Promise<number> {
  if (access_entity !== undefined && access_entity !== "auto" && !isSpaceName(access_entity))
    throw invalidInput([
      { at: "access_entity", message: "must be auto, user:<sub>, or team:, project: or org: with a path" },
    ]);
  if (memory_id === undefined) return spaceId(tx, spaceFor(caller, access_entity));
  const [space] = await tx<{ id: number; access_entity: string }[]>`
    select spaces.id, access_entity
    from brain.memories
    join brain.spaces on spaces.id = space_id
    where memories.id = ${memory_id} and state <> 'deleted'`;
  if (!space) throw notFound("memory");
  if (access_entity !== undefined && spaceFor(caller, access_entity) !== space.access_entity)
    throw invalidInput([{ at: "access_entity", message: "must be the space of memory_id, or be left out" }]);
  return space.id;
}
