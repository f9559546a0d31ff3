import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { YAML } from "bun";
import { loadConfig } from "../../src/config.ts";

/** No Docker engine here: what can be seen by reading the files. */
const ROOT = join(import.meta.dir, "../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

interface Service {
  image?: string;
  build?: string;
  command?: string[];
  environment: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  ports?: string[];
}
const { services, volumes } = YAML.parse(read("docker-compose.yml")) as {
  services: Record<"postgres" | "migrate" | "brain", Service>;
  volumes: object;
};

test("PostgreSQL with a health check, one run of the migrations, then the service", () => {
  expect(Object.keys(services)).toEqual(["postgres", "migrate", "brain"]);
  expect(services.postgres).toMatchObject({
    image: "postgres:18",
    healthcheck: { test: expect.arrayContaining(["pg_isready"]) },
  });
  expect(services.migrate).toMatchObject({
    command: ["migrate", "--create"],
    depends_on: { postgres: { condition: "service_healthy" } },
  });
  expect(services.brain).toMatchObject({
    command: ["serve"],
    depends_on: { migrate: { condition: "service_completed_successfully" } },
  });
  expect(services.brain.ports).toEqual(["127.0.0.1:8765:8765"]);
  expect(Object.keys(volumes)).toEqual(["backups", "postgres"]);
  expect(services.migrate).toMatchObject({ volumes: ["backups:/brain/.brain"] });
});

/** As compose fills a value in: `${NAME:?…}` must be set, `${NAME:-word}` has a default. */
const filled = (value: string, env: Record<string, string>) =>
  value.replace(
    /\$\{(\w+):([?-])([^}]*)\}/g,
    (_, name: string, kind: string, rest: string) => env[name] ?? (kind === "-" ? rest : "MISSING"),
  );

test("no secret is written in it: each comes from a variable that must be set, and .env.example names them all", () => {
  const text = read("docker-compose.yml");
  const needed = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
  expect([...new Set(needed)].sort()).toEqual([
    "JWT_SECRET_KEY",
    "OWNER_PASSWORD",
    "POSTGRES_PASSWORD",
    "SERVICE_PASSWORD",
  ]);
  for (const [, value = ""] of text.matchAll(/(?:PASSWORD|SECRET_KEY): (.*)/g)) expect(value).toStartWith("${");
  const example = new Map(
    [...read(".env.example").matchAll(/^(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
  );
  for (const name of needed) expect([name, example.get(name as string)]).toEqual([name, ""]);
});

test.each(["migrate", "brain"] as const)("what %s gets, the program takes", (name) => {
  const env = { JWT_SECRET_KEY: "s".repeat(32), OWNER_PASSWORD: "o", SERVICE_PASSWORD: "v", POSTGRES_PASSWORD: "p" };
  const given = Object.fromEntries(
    Object.entries(services[name].environment).map(([key, value]) => [key, filled(value, env)]),
  );
  expect(JSON.stringify(given)).not.toContain("MISSING");
  const config = loadConfig(given);
  expect(new URL(config.database_url ?? "").pathname).toBe("/coding_brain");
  if (name === "migrate") expect(config.root_database_url && config.owner_database_url).toBeTruthy();
});

test("the image is small, built from the lock file, and runs as nobody special", () => {
  const dockerfile = read("Dockerfile");
  const { engines } = JSON.parse(read("package.json")) as { engines: { bun: string } };
  expect([...(dockerfile.match(/^FROM oven\/bun:(\S+)/gm) ?? [])]).toEqual(
    Array(2).fill(`FROM oven/bun:${engines.bun}-slim`),
  );
  expect(dockerfile).toContain("bun install --frozen-lockfile --production");
  expect(dockerfile.indexOf("\nUSER bun\n")).toBeLessThan(dockerfile.indexOf("ENTRYPOINT"));
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, from = ""]) => from.split(" "));
  const let_through = [...read(".dockerignore").matchAll(/^!(.*)$/gm)].map(([, name]) => name);
  expect(copied.filter((name) => !let_through.includes(name))).toEqual([]);
});
