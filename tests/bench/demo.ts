import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { mintToken } from "../../src/auth/tokens.ts";
import { loadConfig } from "../../src/config.ts";
import { openEmbedded } from "../../src/embedded/database.ts";
import { createLog } from "../../src/log.ts";
import { startService } from "../../src/main.ts";
import { migrateDatabase } from "../../src/ops/migrate.ts";
import { temporaryFolder } from "../support/folder.ts";

/**
 * `bun run demo`: stores this project's own README and docs, a memory for each heading, through REST, and a LoCoMo
 * conversation where the bench data lies beside the project; asks ten questions through MCP; prints what came first.
 * On a server and a database of its own, gone at the end.
 */
const ROOT = join(import.meta.dir, "../..");
const LOCOMO = join(ROOT, "../shared/bench/locomo10.json");

const DOC_QUESTIONS = [
  "How do I connect an assistant over MCP?",
  "Which command runs every test?",
  "Why does the service refuse a privileged role?",
  "How is row-level security wrapped so that it is evaluated once?",
  "What happens when a space is seen for the first time?",
  "Why is FORCE row level security not used?",
  "How does a search under row-level security use its index?",
  "How do I change the database schema and commit a migration?",
  "Where are the passwords of the embedded database kept?",
  "Why one MCP server for all requests of a process?",
];

interface Item {
  content: string;
  artifact_ref?: string;
  thread?: string;
  metadata?: object;
}

/** One memory for each heading with text below it, its trail of headings on top. */
function sectionsOf(file: string): Item[] {
  const trail: string[] = [];
  const sections: Item[] = [];
  for (const part of readFileSync(file, "utf8").split(/^(?=#{1,4} )/m)) {
    const [, marks = "", title = "", text = ""] = /^(#{1,4}) (.*)\n([\s\S]*)$/.exec(part) ?? [];
    trail.splice(Math.max(marks.length - 1, 0), trail.length, title);
    if (text.trim())
      sections.push({
        content: `${trail.filter(Boolean).join(" > ")}\n\n${text.trim()}`,
        artifact_ref: basename(file),
      });
  }
  return sections;
}

interface Conversation {
  conversation: Record<string, string | { speaker: string; text: string; blip_caption?: string }[]>;
  qa: { question: string; category: number; evidence?: string[] }[];
}

/** The turns of one conversation, and a few of the questions asked about it. */
function locomo(): { items: Item[]; questions: string[] } {
  if (!existsSync(LOCOMO)) {
    console.log("No LoCoMo conversation: ../shared/bench/locomo10.json is not there.");
    return { items: [], questions: [] };
  }
  const [first] = JSON.parse(readFileSync(LOCOMO, "utf8")) as Conversation[];
  const items: Item[] = [];
  for (const [thread, turns] of Object.entries(first?.conversation ?? {}))
    if (Array.isArray(turns))
      for (const { speaker, text, blip_caption } of turns)
        items.push({
          content: `${speaker}: ${text}${blip_caption ? ` [${blip_caption}]` : ""}`,
          thread,
          metadata: { date: first?.conversation[`${thread}_date_time`] },
        });
  const questions = (first?.qa ?? []).filter(({ category, evidence }) => category === 4 && evidence?.length);
  return { items, questions: questions.slice(0, 4).map(({ question }) => question) };
}

const docs = [join(ROOT, "README.md"), ...readdirSync(join(ROOT, "docs")).map((name) => join(ROOT, "docs", name))];
const talk = locomo();
const items = [...docs.filter((file) => file.endsWith(".md")).flatMap(sectionsOf), ...talk.items];
const questions = [...DOC_QUESTIONS.slice(0, 10 - talk.questions.length), ...talk.questions];

using folder = temporaryFolder();
const { server, database_url, owner_database_url } = await openEmbedded(folder.path, console.log);
try {
  await migrateDatabase(owner_database_url);
  const config = loadConfig({ PORT: "0", RATE_LIMIT_BURST: "1000000" });
  const settings = { ...config, jwt_secret: server.secrets.jwt_secret };
  const service = await startService(config, database_url, settings.jwt_secret, createLog("warn"));
  const scopes = ["memories:read", "memories:write"];
  const { token } = await mintToken(settings, { org: "demo", sub: "demo", scopes, days: 1 });
  const headers = { authorization: `Bearer ${token}` };

  const started = performance.now();
  for (let from = 0; from < items.length; from += 100) {
    const response = await fetch(`${service.url}/api/v1/memories/batch`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({ memories: items.slice(from, from + 100) }),
    });
    if (response.status !== 201) throw new Error(`storing failed: ${response.status} ${await response.text()}`);
  }
  console.log(`${items.length} memories stored through REST in ${Math.round(performance.now() - started)} ms.\n`);

  const client = new Client({ name: "demo", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${service.url}/mcp`), { requestInit: { headers } }));
  for (const question of questions) {
    const asked = performance.now();
    const { structuredContent } = await client.callTool({
      name: "search_memory",
      arguments: { query: question, limit: 1 },
    });
    const ms = (performance.now() - asked).toFixed(1);
    const { results } = structuredContent as { results: { content: string; score: number }[] };
    const best = results[0];
    const preview = best?.content.replace(/\s+/g, " ").slice(0, 110) ?? "nothing";
    console.log(`${question}\n  ${best?.score.toFixed(2) ?? "   -"}  ${ms.padStart(5)} ms  ${preview}`);
  }
  await client.close();
  await service.stop();
} finally {
  await server.stop();
}
