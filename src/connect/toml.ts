import { stringify } from "smol-toml";

/**
 * TOML with another table `servers.name`, or with none for undefined. By lines: its own are replaced, taken out, or put at
 * the end. A TOML library would print everything anew, without its comments.
 */
export function tomlWith(text: string, servers: string, name: string, value: object | undefined): string {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const key = (word: string) => `\\s*["']?${RegExp.escape(word)}["']?\\s*`;
  const own_header = new RegExp(`^\\s*\\[${key(servers)}\\.${key(name)}[.\\]]`);
  const lines = text.split(/\r?\n/);
  let is_within = false;
  const is_own = lines.map((line) => {
    if (/^\s*\[/.test(line)) is_within = own_header.test(line);
    return is_within;
  });
  // Blank lines and comments after it belong to what follows.
  for (let index = lines.length - 1; index >= 0; index--)
    if (!is_own[index + 1] && /^\s*(#.*)?$/.test(lines[index] ?? "")) is_own[index] = false;

  const kept = lines.filter((_, index) => !is_own[index]);
  if (value === undefined) return kept.join(eol);
  const table = stringify({ [servers]: { [name]: value } })
    .trimEnd()
    .split("\n");
  const place = is_own.indexOf(true);
  if (place !== -1) return kept.toSpliced(place, 0, ...table).join(eol);
  const end = text.trimEnd() === "" ? [] : [...text.trimEnd().split(/\r?\n/), ""];
  return [...end, ...table, ""].join(eol);
}
