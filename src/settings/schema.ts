import { type Static, type TSchema, t } from "elysia";
import { DELETED_DAYS, RECALL_DAYS } from "../retention/limits.ts";
import { closed, Instant, nullable } from "../schema.ts";

const days = (maximum: number, description: string) => t.Number({ minimum: 1, maximum, multipleOf: 1, description });
const weight = (description: string) => t.Number({ minimum: 0, maximum: 10, description });

/** What an org may set, by section. */
const fields = {
  search: {
    lexical: weight("How much the place among what words find counts beside the one among what is meant."),
    semantic: weight("How much the place among what is meant counts, where there is an embedding space."),
    graph: weight("How much being about what the query names counts."),
  },
  retention: {
    deleted_days: days(365, "Days for which what was deleted can be restored."),
    recall_days: days(3650, "Days for which recalls are kept."),
  },
};

export const Settings = t.Object(
  {
    search: t.Object(fields.search, closed),
    retention: t.Object(fields.retention, closed),
  },
  closed,
);
export type Settings = Static<typeof Settings>;
export type Section = keyof Settings;

/** What holds where an org has set nothing. */
export const DEFAULTS: Settings = {
  search: { lexical: 1, semantic: 1, graph: 1 },
  retention: { deleted_days: DELETED_DAYS, recall_days: RECALL_DAYS },
};

/** Beside the settings, and never read by the service: by the section they are written in. */
const secrets = {
  embeddings: { api_key: t.String({ minLength: 1, maxLength: 4096, pattern: "^[\\x21-\\x7e]+$" }) },
};
export const SECRETS = Object.entries(secrets).flatMap(([section, names]) =>
  Object.keys(names).map((name) => `${section}.${name}`),
);

const optional = <F extends Record<string, TSchema>>(schemas: F) => t.Partial(t.Object(schemas, closed), closed);
const clearable = (schemas: Record<string, TSchema>) =>
  optional(Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, nullable(schema)])));
/** Null takes it away. */
const api_key = t.Optional(nullable(secrets.embeddings.api_key));

/** All settings; what is left out has its default. Secrets that are left out stay. */
export const NewSettings = t.Object(
  {
    search: t.Optional(optional(fields.search)),
    embeddings: t.Optional(t.Object({ api_key }, closed)),
    retention: t.Optional(optional(fields.retention)),
  },
  closed,
);

/** Some settings; null brings a field back to its default. */
export const SettingsChanges = t.Object(
  {
    search: t.Optional(clearable(fields.search)),
    embeddings: t.Optional(t.Object({ api_key }, closed)),
    retention: t.Optional(clearable(fields.retention)),
  },
  { ...closed, minProperties: 1 },
);

/** Either, section by section. */
export type GivenSettings = Partial<Record<Section | "embeddings", Record<string, unknown>>>;

export const Config = t.Object(
  {
    settings: Settings,
    secrets: t.Array(t.String(), { description: "Names of those that are set; what they are is never told." }),
    embedding_space: nullable(
      t.Object(
        { model: t.String(), dimensions: t.Number() },
        { ...closed, description: "Which vectors searches go by; `brain embeddings` changes it." },
      ),
    ),
    updated_at: nullable(Instant),
    updated_by: nullable(t.String({ description: "The sub of the user who set something last." })),
  },
  closed,
);
export type Config = Static<typeof Config>;
