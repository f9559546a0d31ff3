import { invalidInput } from "../problem.ts";

/** Sets of tools beyond the default one; a client asks for them in its address, so that nobody pays for what it does not use. */
export const TOOLSETS = ["graph", "entities", "admin"] as const;
export type Toolset = (typeof TOOLSETS)[number];

export const NO_TOOLSETS: ReadonlySet<Toolset> = new Set();

/** What `?toolsets=` of an address asks for: names separated by commas, or `all`. Throws INVALID_INPUT for others. */
export function toolsetsFrom(url: string): ReadonlySet<Toolset> {
  const given = new URL(url).searchParams.getAll("toolsets").join(",");
  if (given === "") return NO_TOOLSETS;
  const names = given.split(",").map((name) => name.trim().toLowerCase());
  if (names.includes("all")) return new Set(TOOLSETS);
  const known = TOOLSETS.filter((name) => names.includes(name));
  if (known.length < new Set(names).size)
    throw invalidInput([{ at: "toolsets", message: `must be all, or some of ${TOOLSETS.join(", ")}` }]);
  return new Set(known);
}
