import type { TSchema } from "elysia";
import * as apps from "../apps/schema.ts";
import * as audit from "../audit/schema.ts";
import * as auth from "../auth/schema.ts";
import * as backup from "../backup/schema.ts";
import * as normalization from "../entities/normalization_schema.ts";
import * as entities from "../entities/schema.ts";
import * as analytics from "../graph/analytics_schema.ts";
import * as events from "../graph/event_schema.ts";
import * as graph from "../graph/schema.ts";
import * as actions from "../memories/action_schema.ts";
import * as filters from "../memories/filter_schema.ts";
import * as memories from "../memories/schema.ts";
import * as recalls from "../recalls/schema.ts";
import * as search from "../search/schema.ts";
import * as settings from "../settings/schema.ts";
import * as stats from "../stats/schema.ts";

const MODULES = [
  memories,
  actions,
  filters,
  recalls,
  search,
  apps,
  stats,
  settings,
  entities,
  normalization,
  graph,
  analytics,
  events,
  auth,
  audit,
  backup,
];

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && "properties" in value;
}

/** Parts of an address: a document has them as parameters. */
const PARAMETERS = /Query$|^By[A-Z]|ById$/;

/** What bodies and answers are called in the document: as in our own source, so that a client's types have names. */
export const NAMED: ReadonlyMap<string, TSchema> = new Map(
  MODULES.flatMap((module) => Object.entries(module as Record<string, unknown>)).filter(
    (entry): entry is [string, TSchema] => /^[A-Z]/.test(entry[0]) && !PARAMETERS.test(entry[0]) && isObject(entry[1]),
  ),
);
