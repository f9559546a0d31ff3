import { describe, expect, test } from "bun:test";
import { decodeJwt } from "jose";
import { temporaryFolder } from "../support/folder.ts";
import { brain } from "../support/processes.ts";

describe("help", () => {
  test.each(["up", "serve", "connect", "token", "migrate", "verify", "audit", "leak-check", "doctor", "env", "db"])(
    "%s --help tells what it does",
    async (command) => {
      const { code, out } = await brain([command, "--help"]);
      expect({ code, told: out.includes(`Usage: brain ${command}`) }).toEqual({ code: 0, told: true });
    },
  );

  test("the list of commands tells the exit codes", async () => {
    const { code, out } = await brain(["--help"]);
    expect(code).toBe(0);
    expect(out).toContain("5 role refused");
  });

  test.each([
    [["burn"]],
    [["token"]],
    [["token", "--user", "a", "--org", "b", "--scopes", "memories:burn"]],
    [["db", "burn"]],
    [["connect", "burn"]],
    [["connect", "cursor", "--transport", "carrier-pigeon"]],
    [["connect", "cursor", "--url", "brain.example.com"]],
    [["connect", "cursor", "--toolsets", "everything"]],
    [["connect", "cursor", "--name", "a.b"]],
    [["leak-check", "--only", "burn"]],
  ])("%j is told what is wrong, with code 2", async (args) => {
    const { code, err } = await brain(args);
    expect({ code, said: err.length > 0 }).toEqual({ code: 2, said: true });
  });
});

describe("token", () => {
  const secret = { JWT_SECRET_KEY: "a secret that is long enough for this" };

  test("says what it was told to say", async () => {
    const args = [
      "--user",
      "ada",
      "--org",
      "acme",
      "--scopes",
      "memories:read  stats:read",
      "--grants",
      "org:acme team:a/b",
      "--days",
      "2",
    ];
    const { code, out } = await brain(["token", ...args, "--json"], secret);
    expect(code).toBe(0);
    const { token, jti, expires_at } = JSON.parse(out);
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({
      sub: "ada",
      org_id: "acme",
      jti,
      scope: "memories:read stats:read",
      grants: ["org:acme", "team:a/b"],
    });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(2 * 86_400);
    expect(Date.parse(expires_at)).toBe((claims.exp ?? 0) * 1000);
  });

  test.each([
    ["--days", "0"],
    ["--days", "1e3"],
    ["--grants", "user:ben"],
    ["--grants", "project:%"],
  ])("%s %s is refused", async (option, value) => {
    expect((await brain(["token", "--user", "a", "--org", "b", option, value], secret)).code).toBe(2);
  });

  test.each([
    ["--user", " "],
    ["--user", "a\nb"],
    ["--org", ""],
  ])("what the door would refuse is refused here: %s %j", async (option, value) => {
    const args = { "--user": "a", "--org": "b", [option]: value };
    expect((await brain(["token", ...Object.entries(args).flat()], secret)).code).toBe(1);
  });

  test("in embedded mode it is signed with the folder's own secret, whoever comes first", async () => {
    using folder = temporaryFolder();
    const mint = async () =>
      (await brain(["token", "--user", "a", "--org", "b"], { BRAIN_DATA_DIR: folder.path })).out.trim();
    const tokens = await Promise.all([mint(), mint(), mint(), mint()]);
    const key = Buffer.from(JSON.parse(await Bun.file(`${folder.path}/secrets.json`).text()).jwt_secret);
    for (const token of tokens) {
      const [head, body, signature] = token.split(".");
      const expected = new Bun.CryptoHasher("sha256", key).update(`${head}.${body}`).digest("base64url");
      expect(signature).toBe(expected);
    }
  });
});

describe("a folder that cannot be used", () => {
  test("is named, with code 3: a file, one that lost its secrets, one with others", async () => {
    using folder = temporaryFolder();
    const file = `${folder.path}/file`;
    await Bun.write(file, "");
    expect(await brain(["up"], { BRAIN_DATA_DIR: file })).toMatchObject({
      code: 3,
      err: expect.stringContaining("BRAIN_DATA_DIR"),
    });

    const data = `${folder.path}/data`;
    await Bun.write(`${data}/secrets.json`, "{");
    expect(await brain(["up"], { BRAIN_DATA_DIR: data })).toMatchObject({
      code: 3,
      err: expect.stringContaining("secrets.json"),
    });

    await Bun.write(`${data}/postgres/PG_VERSION`, "18");
    await Bun.file(`${data}/secrets.json`).delete();
    expect(await brain(["up"], { BRAIN_DATA_DIR: data })).toMatchObject({
      code: 3,
      err: expect.stringContaining("put it back"),
    });
    expect(await Bun.file(`${data}/secrets.json`).exists()).toBe(false);
  });
});

test.each([
  [{ PORT: "x" }, 3],
  [{ DATABASE_URL: "postgres://a@127.0.0.1:1/b" }, 3],
  [{ LOG_LEVEL: "loud" }, 3],
  [{ DATABASE_URL: "postgres://a@127.0.0.1:1/b", JWT_SECRET_KEY: "s".repeat(32) }, 4],
])("serve with %j ends with %i and one sentence", async (env, expected) => {
  const { code, err } = await brain(["serve"], env);
  expect({ code, lines: err.trim().split("\n").length }).toEqual({ code: expected, lines: 1 });
});

test("up with only the owner's URL is told to give both", async () => {
  const { code, err } = await brain(["up"], { OWNER_DATABASE_URL: "postgres://a@127.0.0.1:1/b" });
  expect({ code, said: err.includes("DATABASE_URL is not") }).toEqual({ code: 3, said: true });
});
