/** The kinds of spaces, narrowest first. */
export const SPACE_PREFIXES = ["user", "team", "project", "org"] as const;
export type SpacePrefix = (typeof SPACE_PREFIXES)[number];

/** `team:a/b`, `project:a`, `org:a` with 1 to 16 path segments of letters, digits, dot, underscore and hyphen. */
const SHARED_SPACE = /^(team|project|org):[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+){0,15}$/;

/**
 * The grants a token really carries: well-formed shared spaces and the caller's own `user:` one.
 * Anything else in the claim is dropped: non-strings, unknown prefixes, other users' spaces.
 * What a grant opens is decided in the database (sql/access_keys.sql), not here.
 */
export function grantsFrom(claimed: readonly unknown[], sub: string): string[] {
  const shared = claimed.filter((grant) => typeof grant === "string" && SHARED_SPACE.test(grant)) as string[];
  return [`user:${sub}`, ...new Set(shared)];
}

/** Any space's name, as a pattern: a user's may be whatever a `sub` may. */
export const SPACE_NAME = `${SHARED_SPACE.source}|^user:[\\s\\S]*\\S`;

const ANY_SPACE = new RegExp(SPACE_NAME);

/** Whether a text is the name of a space, in use or not. */
export const isSpaceName = (text: string) => ANY_SPACE.test(text);

/** The prefix of a space says who it is for: the memory's read-only `scope`. */
export const scopeOf = (access_entity: string) => access_entity.slice(0, access_entity.indexOf(":")) as SpacePrefix;
