import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PAGE = join(import.meta.dir, "../../docs/benchmarks.md");
const HEAD = `# Benchmarks

Written by \`bun run bench\`, section by section; each says how it was run.
`;

/** A Markdown table. */
export const table = (head: readonly string[], rows: readonly (string | number)[][]) =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/** The value below which a share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** `62.1` for 0.6213. */
export const percent = (share: number) => (100 * share).toFixed(1);

/** Puts a section into docs/benchmarks.md, in place of the one of that title, and prints it. */
export function writeSection(title: string, text: string) {
  console.log(`\n${text}`);
  const page = existsSync(PAGE) ? readFileSync(PAGE, "utf8") : HEAD;
  const [head = HEAD, ...sections] = page.split(/^(?=## )/m);
  const section = `## ${title}\n\n${text.trim()}\n`;
  const place = sections.findIndex((one) => one.startsWith(`## ${title}\n`));
  const kept = place === -1 ? [...sections, section] : sections.with(place, section);
  writeFileSync(PAGE, `${[head, ...kept].map((one) => one.trim()).join("\n\n")}\n`);
}
