import { expect, test } from "bun:test";
import type { Identity } from "../../src/auth/tokens.ts";
import { VerifiedTokens } from "../../src/auth/verified.ts";

const seconds = () => Math.floor(Date.now() / 1000);
const identity = (sub: string, expires_at = seconds() + 60): Identity => ({
  org: "acme",
  sub,
  jti: sub,
  scopes: new Set(),
  grants: [`user:${sub}`],
  expires_at,
});

test("what a token said is found by the whole of it, and by no other", () => {
  const verified = new VerifiedTokens();
  verified.keep("head.ada.signature", identity("ada"));
  verified.keep("head.ben.signature", identity("ben"));
  expect(verified.find("head.ada.signature")?.sub).toBe("ada");
  for (const other of ["head.ada.signaturE", "head.ada.signature=", "head.ada", "", "head.cyd.signature"])
    expect(verified.find(other)).toBeUndefined();
});

test("a token that has ended is verified anew, for its refusal", () => {
  const verified = new VerifiedTokens();
  verified.keep("ended", identity("ada", seconds()));
  expect(verified.find("ended")).toBeUndefined();
  expect(verified.size).toBe(0);
});

test("many tokens and long ones do not fill the memory: the one unused for longest goes", () => {
  const verified = new VerifiedTokens();
  for (let number = 0; number < 4096; number++) verified.keep(`token ${number}`, identity(`u${number}`));
  expect(verified.find("token 0")?.sub).toBe("u0");
  verified.keep("one more", identity("more"));
  expect(verified.size).toBe(4096);
  expect(verified.find("token 0")?.sub).toBe("u0");
  expect(verified.find("token 1")).toBeUndefined();
  verified.keep("x".repeat(4097), identity("long"));
  expect(verified.find("x".repeat(4097))).toBeUndefined();
});
