import { describe, expect, test } from "bun:test";
import { mayOpen, type Person } from "../../src/leaks/cast.ts";
import { openHaystack } from "../../src/leaks/needles.ts";

const haystack = openHaystack();
const word = haystack.canary("a word", { org: "acme" });
const id = crypto.randomUUID();
haystack.id(id, "an id", { org: "acme" });

const bytes = (text: string) => Buffer.from(text);
const escaped = (text: string, by: (code: string) => string) =>
  [...text].map((character) => by(character.charCodeAt(0).toString(16).padStart(2, "0"))).join("");

/** What a careless answer could make of a text. */
const ENCODINGS: [string, (text: string) => string][] = [
  ["as it is", (text) => text],
  ["in other case", (text) => text.toUpperCase()],
  ["escaped as JSON", (text) => escaped(text, (code) => `\\u00${code}`)],
  ["escaped twice", (text) => escaped(text, (code) => `\\\\u00${code}`)],
  ["percent-encoded", (text) => escaped(text, (code) => `%${code}`)],
  ["as HTML", (text) => escaped(text, (code) => `&#x${code};`)],
  ["in hex", (text) => bytes(text).toString("hex")],
  ["in hex behind a digit", (text) => `a${bytes(text).toString("hex").toUpperCase()}`],
  ...["", "x", "xy", "xyz"].flatMap((before): [string, (text: string) => string][] => [
    [`in base64 behind ${before.length} bytes`, (text) => bytes(`${before}${text}?`).toString("base64")],
    [`in base64url behind ${before.length} bytes`, (text) => bytes(`${before}${text}>`).toString("base64url")],
    [`in base64 behind ${before.length} letters`, (text) => before + bytes(text).toString("base64")],
  ]),
];

describe("a canary and an id are found", () => {
  test.each(ENCODINGS)("%s", (_how, encode) => {
    for (const [text, what] of [
      [word, "a word"],
      [id, "an id"],
    ] as const)
      expect(haystack.foundIn(`{"x":"${encode(text)}"}`).map((found) => found.what)).toContain(what);
  });

  test("an id without hyphens, and in its 16 bytes", () => {
    const digits = id.replaceAll("-", "");
    for (const text of [digits, `{${digits}`, Buffer.from(digits, "hex").toString("base64url")])
      expect(haystack.foundIn(text).map((found) => found.what)).toEqual(["an id"]);
  });

  test("and nothing where nothing is", () => {
    const other = openHaystack().canary("another's word");
    expect(haystack.foundIn(`${other} ${crypto.randomUUID()} ${word.slice(0, -1)}`)).toEqual([]);
  });
});

test("the prover's own rule of what grants open", () => {
  const person = (...grants: string[]): Person => ({ org: "o", sub: "ada", grants, spaces: ["user:ada"] });
  const opened = (grants: string[], spaces: string[]) => spaces.filter((space) => mayOpen(person(...grants), space));
  const spaces = [
    "user:ada",
    "user:ben",
    "project:a",
    "project:a/b",
    "project:ab",
    "team:a/b",
    "team:a",
    "org:a",
    "org:a/b",
    "project:A/b",
  ];
  expect(opened([], spaces)).toEqual(["user:ada"]);
  expect(opened(["user:ben"], spaces)).toEqual(["user:ada"]);
  expect(opened(["project:a"], spaces)).toEqual(["user:ada", "project:a", "project:a/b", "team:a/b"]);
  expect(opened(["org:a"], spaces)).toEqual(["user:ada", "project:a/b", "team:a/b", "org:a", "org:a/b"]);
  expect(opened(["team:a"], spaces)).toEqual(["user:ada", "team:a"]);
});
