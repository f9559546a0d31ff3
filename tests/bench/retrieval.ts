import { seededRandom } from "../support/random.ts";
import { rankPlainly, stem } from "./bm25.ts";
import { identifiers } from "./identifiers.ts";
import { type Conversation, type Question, readLocomo } from "./locomo.ts";
import { mean, percent, quantile, table, writeSection } from "./report.ts";
import { type Bench, openBench, type User } from "./service.ts";

const DEPTHS = [5, 10, 20, 50] as const;
const CATEGORIES = [1, 2, 3, 4] as const;
const FOREIGN_ORGS = 50;
const NAMED = 2000;
const ASKED = 500;

/** One question's answer: the names of the turns found, in their order. */
interface Outcome {
  readonly conversation: number;
  readonly question: Question;
  readonly found: readonly string[];
}

/** What asking all questions gave, and what it cost. */
interface Run {
  readonly outcomes: Outcome[];
  readonly rest_ms: number[];
  readonly mcp_ms: number[];
  readonly tokens: number[];
  /** Of every answer, ids and scores: what must not change when others store. */
  readonly answers: string[];
}

/** Runs the retrieval bench on a service of its own and writes its section. The path is that of locomo10.json. */
export async function benchRetrieval(path: string) {
  const conversations = readLocomo(path);
  if (!conversations)
    console.log(`LoCoMo is not there (${path}); name it with --data or LOCOMO. Only the identifiers are measured.`);
  const bench = await openBench();
  try {
    const parts = [conversations && (await locomo(bench, conversations)), await named(bench)];
    const [talks, names] = parts;
    // Without the data the page keeps what was measured with it.
    if (talks) writeSection("Retrieval: conversations", talks);
    writeSection("Retrieval: identifiers", names ?? "");
  } finally {
    await bench.close();
  }
}

async function locomo(bench: Bench, conversations: readonly Conversation[]): Promise<string> {
  const plain = await plainly(bench, conversations);
  const users = await storeAll(bench, conversations, "talk", (turns) => turns);
  const alone = await askAll(conversations, users);
  await foreign(bench, conversations);
  const beside = await askAll(conversations, users);
  const identical = JSON.stringify(alone.answers) === JSON.stringify(beside.answers);
  const shuffled = await storeAll(bench, conversations, "shuffled", (turns) => withoutThreads(turns));
  const control = await askAll(conversations, shuffled);

  const rows = [
    ...plain.map(({ name, outcomes }) => row(name, outcomes)),
    row("this search, no threads, shuffled", control.outcomes),
    row("this search", beside.outcomes),
  ];
  const asked = beside.outcomes.length;
  return `\`bun run bench retrieval\`, LoCoMo: ${conversations.length} conversations, a user and a space each, a memory a turn; ${asked} questions, each through REST and through MCP with limit 50. Recall at k: the share of a question's evidence among the first k, averaged over the questions, in percent. Plain BM25 is computed in the same run over PostgreSQL's English stems. Tuned on conversations 0 to 4.

${table(["ranking", ...DEPTHS.map((k) => `R@${k}`), "R@10 of 0–4", "R@10 of 5–9", ...CATEGORIES.map((one) => `R@10 cat. ${one}`)], rows)}

Answers with ${FOREIGN_ORGS} foreign orgs in the same tables, against none: ${identical ? "identical, ids and scores" : "DIFFERENT"}.

${table(
  ["foreign orgs", "REST p50 ms", "REST p95 ms", "MCP p50 ms", "MCP p95 ms", "tokens an answer (limit 50)"],
  [figures("0", alone), figures(String(FOREIGN_ORGS), beside)],
)}

A token is counted as four characters of the answer's JSON.`;
}

/** Plain BM25 over the same turns, as the bar to pass. */
async function plainly({ owner_database_url }: Bench, conversations: readonly Conversation[]) {
  const rankings = [
    { name: "plain BM25, k1 0.9, b 0.4", k1: 0.9, b: 0.4 },
    { name: "plain BM25, k1 1.2, b 0.75", k1: 1.2, b: 0.75 },
  ].map((ranking) => ({ ...ranking, outcomes: [] as Outcome[] }));
  for (const [conversation, { turns, questions }] of conversations.entries()) {
    const texts = turns.map(({ content }) => content);
    const stems = await stem(owner_database_url, [...texts, ...questions.map(({ text }) => text)]);
    for (const { k1, b, outcomes } of rankings) {
      const rank = rankPlainly(stems.slice(0, texts.length), k1, b);
      for (const [place, question] of questions.entries()) {
        const found = rank(stems[texts.length + place] ?? []).map((at) => turns[at]?.name ?? "");
        outcomes.push({ conversation, question, found });
      }
    }
  }
  return rankings;
}

interface Stored {
  readonly user: User;
  /** The turn of each memory, by its id. */
  readonly turns: ReadonlyMap<string, string>;
}

type Turns = Conversation["turns"];

async function storeAll(
  bench: Bench,
  conversations: readonly Conversation[],
  org: string,
  arrange: (turns: Turns) => readonly (Partial<Turns[number]> & Pick<Turns[number], "name" | "content">)[],
): Promise<Stored[]> {
  const stored: Stored[] = [];
  for (const [index, conversation] of conversations.entries()) {
    const user = await bench.user(org, `conversation-${index}`);
    const turns = arrange(conversation.turns);
    const ids = await user.store(
      turns.map(({ content, thread, date }) => ({
        content,
        ...(thread && { thread }),
        ...(date && { metadata: { date } }),
      })),
    );
    // Where two turns say the same, both are one memory.
    const names = new Map<string, string>();
    for (const [place, id] of ids.entries())
      names.set(id, [names.get(id), turns[place]?.name].filter(Boolean).join(" "));
    stored.push({ user, turns: names });
  }
  return stored;
}

/** Each org holds another conversation's turns, in the same order as they come. */
async function foreign(bench: Bench, conversations: readonly Conversation[]) {
  for (let org = 0; org < FOREIGN_ORGS; org++) {
    const user = await bench.user(`foreign-${org}`, "stranger");
    const turns = conversations[org % conversations.length]?.turns ?? [];
    await user.store(turns.map(({ content, thread, date }) => ({ content, thread, metadata: { date } })));
  }
}

function withoutThreads(turns: Turns) {
  const next = seededRandom(10);
  return turns
    .map(({ name, content }) => ({ name, content, place: next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ name, content }) => ({ name, content }));
}

async function askAll(conversations: readonly Conversation[], stored: readonly Stored[]): Promise<Run> {
  const run: Run = { outcomes: [], rest_ms: [], mcp_ms: [], tokens: [], answers: [] };
  for (const [conversation, { questions }] of conversations.entries()) {
    const { user, turns } = stored[conversation] ?? {};
    if (!user || !turns) throw new Error("a conversation that nobody stored");
    for (const question of questions) {
      const request = { query: question.text, limit: 50 };
      const rest = await user.post("/search", request);
      const mcp = await user.call("search_memory", request);
      const { results } = JSON.parse(rest.text) as { results: { id: string; score: number }[] };
      const answer = JSON.stringify(results.map(({ id, score }) => [id, score]));
      const told = mcp.structured.results as { id: string; score: number }[];
      if (answer !== JSON.stringify(told.map(({ id, score }) => [id, score])))
        throw new Error(`REST and MCP answer "${question.text}" differently`);
      const found = results.flatMap(({ id }) => turns.get(id)?.split(" ") ?? []);
      run.outcomes.push({ conversation, question, found });
      run.rest_ms.push(rest.ms);
      run.mcp_ms.push(mcp.ms);
      run.tokens.push(JSON.stringify(mcp.structured).length / 4);
      run.answers.push(answer);
    }
  }
  return run;
}

const recall = (outcomes: readonly Outcome[], depth: number) =>
  percent(
    mean(
      outcomes.map(({ question, found }) => {
        const first = new Set(found.slice(0, depth));
        return question.evidence.filter((name) => first.has(name)).length / question.evidence.length;
      }),
    ),
  );

const row = (name: string, outcomes: readonly Outcome[]) => [
  name,
  ...DEPTHS.map((depth) => recall(outcomes, depth)),
  recall(
    outcomes.filter(({ conversation }) => conversation < 5),
    10,
  ),
  recall(
    outcomes.filter(({ conversation }) => conversation >= 5),
    10,
  ),
  ...CATEGORIES.map((category) =>
    recall(
      outcomes.filter(({ question }) => question.category === category),
      10,
    ),
  ),
];

const figures = (orgs: string, { rest_ms, mcp_ms, tokens }: Run) => [
  orgs,
  ...[rest_ms, mcp_ms].flatMap((times) => [quantile(times, 0.5).toFixed(1), quantile(times, 0.95).toFixed(1)]),
  Math.round(mean(tokens)),
];

/** Identifiers as queries: how often the memory that names it comes first. */
async function named(bench: Bench): Promise<string> {
  const memories = identifiers(NAMED);
  const user = await bench.user("named", "programmer");
  const ids = await user.store(memories.map(({ content }) => ({ content })));
  const times: number[] = [];
  const isFirst = async (query: string, id: string | undefined) => {
    const { text, ms } = await user.post("/search", { query, limit: 5 });
    times.push(ms);
    return JSON.parse(text).results[0]?.id === id ? 1 : 0;
  };
  const exact: number[] = [];
  const misspelt: number[] = [];
  for (const [place, memory] of memories.slice(0, ASKED).entries()) {
    exact.push(await isFirst(memory.identifier, ids[place]));
    misspelt.push(await isFirst(memory.misspelt, ids[place]));
  }
  return `\`bun run bench retrieval\`: ${NAMED} generated memories, each about an identifier (symbol, dotted name, path, error code) made of few words, so that most have siblings that differ in one of them; ${ASKED} of the identifiers are asked for.

${table(
  ["query", "right memory first, %"],
  [
    ["the identifier", percent(mean(exact))],
    ["with one typo", percent(mean(misspelt))],
  ],
)}

REST p50 ${quantile(times, 0.5).toFixed(1)} ms, p95 ${quantile(times, 0.95).toFixed(1)} ms.`;
}
