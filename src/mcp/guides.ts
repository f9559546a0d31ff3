import { notFound } from "../problem.ts";
import graph from "./guides/graph.md" with { type: "text" };
import maintenance from "./guides/maintenance.md" with { type: "text" };
import memory from "./guides/memory.md" with { type: "text" };
import risks from "./guides/risks.md" with { type: "text" };
import type { ResourceKind } from "./resource.ts";

const GUIDES: Record<string, string> = { memory, graph, maintenance, risks };

/** The guides there are. */
export const GUIDE_NAMES = Object.keys(GUIDES);

const PREFIX = "brain://guide/";
const MIME_TYPE = "text/markdown";

/** Short guides for assistants: the same for everybody. */
export const guides: ResourceKind = {
  needs: [],
  template: {
    uriTemplate: `${PREFIX}{name}`,
    name: "guide",
    title: "Guide",
    description: `How to work with Coding Brain, by subject: ${GUIDE_NAMES.join(", ")}.`,
    mimeType: MIME_TYPE,
  },
  has: (uri) => uri.startsWith(PREFIX),
  async list() {
    const resources = Object.entries(GUIDES).map(([name, text]) => ({
      uri: PREFIX + name,
      name: `guide-${name}`,
      title: /^# (.*)/.exec(text)?.[1] ?? name,
      mimeType: MIME_TYPE,
      size: Buffer.byteLength(text),
    }));
    return { resources, next_cursor: null };
  },
  async read(_caller, uri) {
    const text = Object.hasOwn(GUIDES, uri.slice(PREFIX.length)) ? GUIDES[uri.slice(PREFIX.length)] : undefined;
    if (text === undefined) throw notFound("resource");
    return [{ uri, mimeType: MIME_TYPE, text }];
  },
};
