import type { Haystack, Viewer } from "./needles.ts";

/** Somebody with a token, and the spaces they store something in, their own first. */
export interface Person {
  readonly org: string;
  readonly sub: string;
  /** As the token claims them, well-formed or not. */
  readonly grants: readonly string[];
  readonly spaces: readonly [string, ...string[]];
}

/** How much of the cast there is: `short` has two orgs of three people, `full` three of six. */
export type Depth = "short" | "full";

/** Without a token: sees nothing of anybody. */
export const NOBODY: Person = { org: "", sub: "", grants: [], spaces: [""] };

/**
 * The people. Each org has the same: ada with a project, a team and the whole org's space; cyd, her colleague without
 * any of it; pat, who shares her project alone; tom, who holds what is above it; nia, who holds what almost is hers; and
 * a hermit whose very name is a canary. An org's name is a canary, and the last org's begins with the first one's.
 */
export function castOf(haystack: Haystack, depth: Depth): Person[] {
  const orgs = namesOf(haystack, depth === "short" ? 2 : 3);
  return orgs.flatMap((org) => {
    const people = [
      person(
        org,
        "ada",
        ["team:x", "project:acme/web", "org:acme"],
        ["team:x", "project:acme/web", "project:acme/api", "org:acme"],
      ),
      person(org, "cyd", [], []),
      person(org, "pat", ["project:acme/web"], ["project:acme/web"]),
    ];
    if (depth === "short") return people;
    const hermit = haystack.canary("brain.users.sub");
    return [
      ...people,
      person(org, "tom", ["project:acme"], ["project:acme", "project:acme/web/deep"]),
      person(org, "nia", NEAR_MISSES, ["project:acm", "project:Acme/Web", "org:ACME"]),
      person(org, hermit, [], []),
    ];
  });
}

/** Each differs from a grant of ada's by a letter, its case, or a step of its path. */
const NEAR_MISSES = [
  "project:acm",
  "project:Acme/Web",
  "project:acme/we",
  "project:acme/webs",
  "project:acme/web/x",
  "team:X",
  "team:x/y",
  "team:acme",
  "org:acm",
  "org:ACME",
  "user:ada",
];

function namesOf(haystack: Haystack, count: number): string[] {
  // Without viewers: whose own token says a name knows it, the last org's people also the first name, with which theirs begins.
  const first = haystack.canary("brain.orgs.name");
  const others = Array.from({ length: count - 2 }, () => haystack.canary("brain.orgs.name"));
  return [first, ...others, `${first}-${haystack.canary("brain.orgs.name")}`];
}

const person = (org: string, sub: string, grants: readonly string[], shared: readonly string[]): Person => ({
  org,
  sub,
  grants,
  spaces: [`user:${sub}`, ...shared],
});

/**
 * Whether a person's grants open a space. The rule of sql/access_keys.sql said once more in other words: here it is the
 * expectation that the database is held against, and nothing is filtered by it.
 */
export const mayOpen = ({ sub, grants }: Person, space: string): boolean =>
  space === `user:${sub}` || grants.some((grant) => !grant.startsWith("user:") && opens(grant, space));

function opens(grant: string, space: string): boolean {
  if (grant === space) return true;
  const [held, above] = parted(grant);
  const [kind, path] = parted(space);
  if (kind === "user" || !path.startsWith(`${above}/`)) return false;
  return held === "org" || (held === "project" && kind !== "org");
}

function parted(name: string): [kind: string, path: string] {
  const cut = name.indexOf(":");
  return [name.slice(0, cut), name.slice(cut + 1)];
}

/** Whether some space is opened by grants of both, in use or not. */
export const opensOneSpace = (some: readonly string[], others: readonly string[]) =>
  some.some((grant) => others.some((other) => opens(grant, other) || opens(other, grant) || meet(grant, other)));

/** `project:a` and `org:a` both open `team:a/b`, though neither opens the other. */
function meet(grant: string, other: string): boolean {
  const [[kind, path], [other_kind, other_path]] = [parted(grant), parted(other)];
  const are_wide = [kind, other_kind].every((one) => one === "project" || one === "org");
  return are_wide && (`${path}/`.startsWith(`${other_path}/`) || `${other_path}/`.startsWith(`${path}/`));
}

/** Whether a person is one of the viewers. */
export const mayView = (person: Person, viewers: readonly Viewer[]) =>
  viewers.some(
    ({ org, sub, space }) =>
      org === person.org &&
      (sub === undefined || sub === person.sub) &&
      (space === undefined || mayOpen(person, space)),
  );

/** For a finding: who it is, without the whole of the org's name. */
export const nameOf = ({ org, sub }: Person) => (sub === "" ? "nobody" : `${sub} of ${org.slice(-6)}`);
