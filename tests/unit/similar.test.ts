import { describe, expect, test } from "bun:test";
import { type Compared, likelyGroups, likeness } from "../../src/entities/similar.ts";

describe("two names", () => {
  test.each([
    ["el_juego", "eljuego", "same_letters", 0.98],
    ["Café", "cafe", "same_letters", 0.98],
    ["retry policy", "RetryPolicies", "plural", 0.9],
    ["Redis", "redis server", "domain_word", 0.85],
    ["OpenMemory", "open memory project", "domain_word", 0.85],
    ["marie", "Marie Schubenz", "affix", 0.715],
    ["deployment", "blue green deployment", "affix", 0.758],
    ["Kubernetes", "Kubernets", "trigrams", 0.762],
    ["Postgres", "PostgreSQL", "trigrams", 0.8],
  ] as const)("%s and %s are alike", (one, other, why, confidence) => {
    expect(likeness(one, other)).toEqual({ why, confidence });
    expect(likeness(other, one)).toEqual({ why, confidence });
  });

  test.each([
    ["src/a.ts", "src/b.ts"],
    ["src/entities/schema.ts", "src/entities/service.ts"],
    ["@grace", "grace"],
    ["C++", "C#"],
    ["API v1", "API v2"],
    ["ADR-12", "ADR-13"],
    ["plan A", "plan B"],
    ["red", "bed"],
    ["ledger", "vault"],
    ["...", "___"],
  ])("%s and %s are not", (one, other) => {
    expect(likeness(one, other)).toBeNull();
  });
});

describe("groups", () => {
  const named = (name: string, memory_count: number): Compared => ({ key: name.toLowerCase(), name, memory_count });
  const told = (names: Compared[], threshold: number) =>
    likelyGroups(names, threshold).map(
      ({ canonical, variants }) => `${canonical.name} < ${variants.map(({ name }) => name)}`,
    );

  test("are named by what is mentioned most, and each of their names is like that one itself", () => {
    const names = [named("deploy job", 1), named("deploy", 5), named("deploy jobs", 2), named("jobs", 3)];
    expect(told(names, 0.7)).toEqual(["deploy < deploy job,deploy jobs"]);
    expect(told(names, 0.89)).toEqual(["deploy jobs < deploy job"]);
    expect(told(names, 0.95)).toEqual([]);
  });

  test("do not depend on the order of the names", () => {
    const names = ["alpha service", "Alpha", "alphas", "beta", "betas"].map((name, index) => named(name, index % 2));
    expect(told(names, 0.7)).toEqual(told([...names].reverse(), 0.7));
  });

  test("of none are none", () => expect(told([], 0)).toEqual([]));
});
