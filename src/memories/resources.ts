import type { ResourceKind } from "../mcp/resource.ts";
import { notFound, Problem } from "../problem.ts";
import { lean, preview } from "./lean.ts";
import { listMemories } from "./list.ts";
import { getMemory } from "./service.ts";

const PREFIX = "memory://";
const MIME_TYPE = "application/json";
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
const PAGE = 50;
/** Characters of a memory's text that name it in a list. */
const TITLE_LENGTH = 80;

/** The address of a memory. */
export const memoryUri = (id: string) => PREFIX + id;

/** Memories by their ids, newest first, as JSON: what people stored stays in its fields. */
export const memoryResources: ResourceKind = {
  needs: ["memories:read"],
  template: {
    uriTemplate: `${PREFIX}{id}`,
    name: "memory",
    title: "Memory",
    description: "One memory with its fields, by its id.",
    mimeType: MIME_TYPE,
  },
  has: (uri) => uri.startsWith(PREFIX),
  async list(caller, cursor) {
    const { items, next_cursor } = await listMemories(caller, { size: PAGE, ...(cursor && { cursor }) });
    const resources = items.map(({ id, content, category, access_entity, updated_at }) => ({
      uri: memoryUri(id),
      name: id,
      title: preview(content.replace(/\s+/g, " "), TITLE_LENGTH),
      description: `A ${category} in ${access_entity}.`,
      mimeType: MIME_TYPE,
      annotations: { lastModified: updated_at },
    }));
    return { resources, next_cursor };
  },
  async read(caller, uri) {
    const id = uri.slice(PREFIX.length);
    if (!UUID.test(id)) throw notFound("resource");
    const memory = await getMemory(caller, id).catch((error: unknown) => {
      throw error instanceof Problem && error.code === "NOT_FOUND" ? notFound("resource") : error;
    });
    return [{ uri, mimeType: MIME_TYPE, text: JSON.stringify(lean(memory)) }];
  },
};
