import type { Caller, Tx } from "../db.ts";
import { type Config, DEFAULTS, type GivenSettings, SECRETS, type Section, type Settings } from "./schema.ts";

/** What an org has set otherwise than the defaults. */
type Stored = Partial<Record<string, Record<string, unknown>>>;

interface Row {
  settings: Stored;
  secret_names: string[];
  updated_at: string;
  updated_by: string;
}

const SECTIONS = Object.keys(DEFAULTS) as Section[];

/** The settings of the caller's org. The route has asked for admin:read. */
export const getConfig = (caller: Caller): Promise<Config> => caller.read(async (tx) => shown(tx, await rowIn(tx)));

/** The settings of the caller's org, for what goes by them. */
export const settingsIn = async (tx: Tx): Promise<Settings> => effective((await rowIn(tx))?.settings ?? {});

/** Sets all settings anew; secrets that are not given stay. The route has asked for admin:write. Throws APP_PAUSED. */
export const replaceConfig = (caller: Caller, given: GivenSettings): Promise<Config> =>
  write(caller, () => merged({}, given), secretsOf(given));

/** Sets what is given and leaves the rest; null brings a field back to its default. Throws APP_PAUSED. */
export const changeConfig = (caller: Caller, given: GivenSettings): Promise<Config> =>
  write(caller, (stored) => merged(stored, given), secretsOf(given));

/** Brings everything back to its default, and takes the secrets away. Throws APP_PAUSED. */
export const resetConfig = (caller: Caller): Promise<Config> =>
  write(caller, () => ({}), Object.fromEntries(SECRETS.map((name) => [name, null])));

async function rowIn(tx: Tx): Promise<Row | undefined> {
  const [row] = await tx<Row[]>`select settings, secret_names, updated_at, updated_by from brain.settings`;
  return row;
}

/** Writes what becomes of the stored settings. Secrets are written over those there are, null taking one away (sql/settings.sql). */
function write(caller: Caller, change: (stored: Stored) => Stored, secrets: object): Promise<Config> {
  const texts = (stored: Stored) => [JSON.stringify(change(stored)), JSON.stringify(secrets)] as const;
  return caller.write(async (tx) => {
    const [settings, new_secrets] = texts({});
    const [first] = await tx<Row[]>`
      insert into brain.settings (settings, secrets)
      values (${settings}::text::jsonb, ${new_secrets}::text::jsonb)
      on conflict do nothing
      returning settings, secret_names, updated_at, updated_by`;
    if (first) return shown(tx, first);
    // Somebody has set something before: what they set is merged with, and nobody else may meanwhile.
    const [{ settings: stored } = { settings: {} }] = await tx<{ settings: Stored }[]>`
      select settings from brain.settings for update`;
    const [changed] = texts(stored);
    const [row] = await tx<Row[]>`
      update brain.settings
      set settings = ${changed}::text::jsonb, secrets = ${new_secrets}::text::jsonb
      returning settings, secret_names, updated_at, updated_by`;
    return shown(tx, row);
  });
}

/** Stored settings with those given over them. What is null is left out, and so are secrets and sections of nothing. */
function merged(stored: Stored, given: GivenSettings): Stored {
  const sections = SECTIONS.map((section) => {
    const fields = Object.entries({ ...stored[section], ...given[section] });
    return [section, fields.filter(([name, value]) => name in DEFAULTS[section] && value !== null)] as const;
  });
  return Object.fromEntries(
    sections
      .filter(([, fields]) => fields.length > 0)
      .map(([section, fields]) => [section, Object.fromEntries(fields)]),
  );
}

/** The secrets among what is given, by their whole names. */
const secretsOf = (given: GivenSettings) =>
  Object.fromEntries(
    Object.entries(given).flatMap(([section, fields]) =>
      Object.entries(fields)
        .map(([name, value]) => [`${section}.${name}`, value] as const)
        .filter(([name]) => SECRETS.includes(name)),
    ),
  );

async function shown(tx: Tx, row: Row | undefined): Promise<Config> {
  const [space = null] = await tx<{ model: string; dimensions: number }[]>`
    select model, dimensions from brain.embedding_spaces where state = 'active'`;
  return {
    settings: effective(row?.settings ?? {}),
    secrets: row?.secret_names ?? [],
    embedding_space: space,
    updated_at: row?.updated_at ?? null,
    updated_by: row?.updated_by ?? null,
  };
}

/** The defaults with what is stored over them; what this release does not know is left out. */
const effective = (stored: Stored): Settings =>
  Object.fromEntries(
    SECTIONS.map((section) => [
      section,
      Object.fromEntries(
        Object.entries(DEFAULTS[section]).map(([name, value]) => [name, stored[section]?.[name] ?? value]),
      ),
    ]),
  ) as Settings; // each field has its default's type: the schemas let nothing else be stored
