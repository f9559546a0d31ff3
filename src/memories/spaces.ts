import { scopeOf } from "../auth/grants.ts";
import { NotProvisioned } from "../db/caller.ts";
import type { Caller, Tx } from "../db.ts";
import { Problem } from "../problem.ts";

/** Own space by default; `auto` is the one shared space granted. Throws ACCESS_ENTITY_AMBIGUOUS. */
export function spaceFor({ sub, grants }: Caller, wanted = `user:${sub}`): string {
  if (wanted !== "auto") return wanted;
  const options = grants.filter((grant) => scopeOf(grant) !== "user");
  const [only] = options;
  if (only && options.length === 1) return only;
  throw new Problem("ACCESS_ENTITY_AMBIGUOUS", "The token grants not exactly one shared space.", {
    options,
    hint: "Name one of the options as access_entity, or leave it out to write to your own space.",
  });
}

/** The id of a space. Throws NotProvisioned, after which it is there or the token does not grant it. */
export async function spaceId(tx: Tx, access_entity: string): Promise<number> {
  const [space] = await tx<{ id: number }[]>`select id from brain.spaces where access_entity = ${access_entity}`;
  if (!space) throw new NotProvisioned([access_entity]);
  return space.id;
}
