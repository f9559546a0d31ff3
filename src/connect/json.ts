import { applyEdits, createScanner, type Edit, findNodeAtLocation, modify, parseTree } from "jsonc-parser";

const MARK = "\ufeff";

/**
 * JSON, with comments or without, with another value at `servers`.`name`, or with none for undefined. The first of its
 * siblings, so that the comments above and behind them stay with them. The library lays out the neighbours anew when it
 * formats, and takes comments along when it removes (3.3.1): both are done here.
 */
export function jsonWith(text: string, servers: string, name: string, value: object | undefined): string {
  const mark = text.startsWith(MARK) ? MARK : "";
  const bare = text.slice(mark.length).trim() === "" ? "{\n}\n" : text.slice(mark.length);
  if (value === undefined) return mark + applyEdits(bare, removal(bare, servers, name));
  const edits = modify(bare, [servers, name], value, { getInsertionIndex: () => 0 });
  const is_laid_out = /[\r\n]/.test(bare.trim());
  return mark + applyEdits(bare, is_laid_out ? edits.map((edit) => laidOut(edit, bare, servers)) : edits);
}

/** An edit that adds or replaces, over several lines. */
function laidOut(edit: Edit, text: string, servers: string): Edit {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const indent = /^([ \t]+)\S/m.exec(text)?.[1] ?? "  ";
  const [, key = "", value = "", comma = ""] = /^("[^"]+": )?(.*?)(,?)$/s.exec(edit.content) ?? [];
  const depth = key.startsWith(JSON.stringify(servers)) ? 1 : 2;
  const margin = eol + indent.repeat(depth);
  const lines = JSON.stringify(JSON.parse(value), null, indent).replaceAll("\n", margin);
  if (key === "") return { ...edit, content: lines };
  const is_alone = text.slice(edit.offset).trimStart().startsWith("}");
  const rest = /^[ \t]*[\r\n]/.test(text.slice(edit.offset)) ? "" : eol + indent.repeat(is_alone ? depth - 1 : depth);
  return { ...edit, content: margin + key + lines + comma + rest };
}

/** A property, its comma and the blanks before it. */
function removal(text: string, servers: string, name: string): Edit[] {
  const root = parseTree(text, [], { allowTrailingComma: true });
  const property = root && findNodeAtLocation(root, [servers, name])?.parent;
  if (!property?.parent?.children) return [];
  const siblings = property.parent.children;
  const previous = siblings[siblings.indexOf(property) - 1];
  const end = property.offset + property.length;
  const comma = commaAfter(text, end) ?? (previous && commaAfter(text, previous.offset + previous.length));
  const blanks = /(\r?\n)?[ \t]*$/.exec(text.slice(0, property.offset))?.[0].length ?? 0;
  const whole = { offset: property.offset - blanks, length: blanks + property.length, content: "" };
  if (comma === undefined) return [whole];
  return [whole, { offset: comma, length: 1, content: "" }].toSorted((one, other) => one.offset - other.offset);
}

/** Where the comma is that comes next but for blanks and comments, if one does. */
function commaAfter(text: string, offset: number): number | undefined {
  const scanner = createScanner(text, true);
  scanner.setPosition(offset);
  scanner.scan();
  const found = scanner.getTokenOffset();
  return text[found] === "," ? found : undefined;
}
