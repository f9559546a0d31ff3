import { describe, expect, test } from "bun:test";
import { clientAddress, trustedProxies } from "../../src/http/client_address.ts";
import { NameMemory, networkOf, RateLimit } from "../../src/http/limits.ts";

describe("a token bucket", () => {
  const at = { now: 0 };
  const make = () => {
    at.now = 0;
    return new RateLimit({ rate_limit_rpm: 60, rate_limit_burst: 3 }, () => at.now);
  };

  test("gives its burst at once, then one a second, and never more than its burst", () => {
    const limit = make();
    expect([1, 2, 3, 4].map(() => limit.take("ada").is_allowed)).toEqual([true, true, true, false]);
    expect(limit.take("ada")).toMatchObject({ remaining: 0, wait_seconds: 1, full_seconds: 3 });
    at.now = 1000;
    expect(limit.take("ada")).toMatchObject({ is_allowed: true, remaining: 0 });
    at.now = 1_000_000;
    expect([1, 2, 3, 4].map(() => limit.take("ada").is_allowed)).toEqual([true, true, true, false]);
  });

  test("refuses a part of more than it holds, and says when all of it will be there", () => {
    const limit = make();
    expect(limit.take("ada")).toMatchObject({ remaining: 2 });
    expect(limit.take("ada", 3)).toMatchObject({ is_allowed: false, is_possible: true, remaining: 2, wait_seconds: 1 });
    limit.take("ada");
    expect(limit.take("ada", 2, 3)).toMatchObject({ is_allowed: false, is_possible: true, wait_seconds: 2 });
    at.now = 60_000;
    expect(limit.take("ada", 3, 4)).toMatchObject({ is_allowed: false, is_possible: false, remaining: 3 });
  });

  test("is each name's own", () => {
    const limit = make();
    for (const _ of [1, 2, 3, 4]) limit.take("ada");
    expect(limit.take("ben").is_allowed).toBe(true);
  });

  test("forgets who has not come for a while, and never remembers more than 10,000", () => {
    const limit = make();
    for (let name = 0; name < 30_000; name++) limit.take(`name ${name}`);
    expect(limit.size).toBeLessThanOrEqual(10_000);
    at.now = 60_000;
    for (let name = 0; name < 10_000; name++) limit.take("ada");
    expect(limit.size).toBeLessThan(10);
  });
});

test("what was used up is given back, and never more than there was", () => {
  const limit = new RateLimit({ rate_limit_rpm: 60, rate_limit_burst: 3 }, () => 0);
  limit.take("ada", 2);
  limit.give("ada", 1);
  expect(limit.take("ada")).toMatchObject({ is_allowed: true, remaining: 1 });
  limit.give("ada", 100);
  expect(limit.take("ada")).toMatchObject({ remaining: 2 });
});

test("names are remembered up to 10,000, and those that are asked for outlive the others", () => {
  const names = new NameMemory();
  names.add("asked for");
  names.add("not asked for");
  for (let name = 0; name < 9_999; name++) {
    names.add(`name ${name}`);
    names.has("asked for");
  }
  expect([names.has("asked for"), names.has("not asked for"), names.size]).toEqual([true, false, 10_000]);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
])("%s is limited as %s", (address, network) => expect(networkOf(address)).toBe(network));

test.each([
  ["192.0.2.1", "203.0.113.9", "192.0.2.1"],
  ["10.0.0.1", "203.0.113.9", "203.0.113.9"],
  ["10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"],
  ["10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"],
  ["10.0.0.1", null, "10.0.0.1"],
  ["10.0.0.1", "made up", "10.0.0.1"],
  ["10.0.0.1", "203.0.113.9:4711", "203.0.113.9"],
  ["::ffff:10.0.0.1", "[2001:db8::1]:80", "2001:db8::1"],
  ["::ffff:192.0.2.1", "203.0.113.9", "192.0.2.1"],
])("a request from %s with X-Forwarded-For %p comes from %s", (peer, forwarded, client) =>
  expect(clientAddress(peer, forwarded, trustedProxies("10.0.0.0/8"))).toBe(client),
);
