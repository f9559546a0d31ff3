import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The rows of the table of bad days in docs/operations.md: name, code, sentence. */
const rows = new Map(
  [
    ...readFileSync(join(import.meta.dir, "../../docs/operations.md"), "utf8").matchAll(
      /^\| (.+?) \| (\d+) \| `(.+)` \|$/gm,
    ),
  ].map(([, name = "", code, sentence = ""]) => [name, { code: Number(code), sentence }]),
);

export const documented = (name: string) => rows.get(name);

/** What differs from one machine and run to another is `…` in the docs. */
export const fits = (printed: string, sentence: string) =>
  new RegExp(`^${sentence.split("…").map(RegExp.escape).join("[^\\n]*")}`, "m").test(printed);

/** How a command ended, beside what the docs say of that day: equal, or the difference is seen. */
export function asDocumented(name: string, { code, err }: { code: number; err: string }) {
  const row = rows.get(name);
  const is_said = row !== undefined && code === row.code && fits(err, row.sentence);
  return is_said ? "as documented" : { name, code, err, row };
}
