import type { Caller } from "../db.ts";
import { spaceNotGranted } from "../problem.ts";
import { applyRecords } from "./apply.ts";
import { type Gathered, gather } from "./gather.ts";
import { applySaid } from "./said.ts";
import type { ImportQuery, ImportReport } from "./schema.ts";
import type { Spool, SpoolFile } from "./spool.ts";
import { Tally } from "./tally.ts";
import { openArchive } from "./zip.ts";

/** The one transaction of an import takes at most this long. */
const MAX_SECONDS = 600;

/** Ends a dry run, and takes back what it did. */
class TakenBack extends Error {
  override readonly name = "TakenBack";
  constructor(readonly tally: Tally) {
    super("a dry run");
  }
}

/**
 * Stores what an archive has, as if its caller had written it by hand: in spaces the token opens, in the caller's name,
 * at the time of the import. All of it or, where this throws, nothing; what does not fit is left out and told of.
 * Throws MALFORMED, TOO_LARGE, FORBIDDEN_ACCESS_ENTITY for the space asked for,
 * APP_PAUSED, CONFLICT while another import of the caller's is under way or when memories change meanwhile, UNAVAILABLE.
 */
export async function importArchive(
  caller: Caller,
  { mode = "skip", dry_run, access_entity }: ImportQuery,
  packed: SpoolFile,
  spool: Spool,
): Promise<ImportReport> {
  await using clean = await spool.file();
  const archive = await openArchive(packed.fd);
  const gathered = await gather(archive, { home: `user:${caller.sub}`, target: access_entity }, clean);
  const granted = await grantedOf(caller, gathered.spaces);
  if (access_entity !== undefined && gathered.spaces.size > granted.size) throw spaceNotGranted();
  const is_dry = dry_run === "true";
  const tally = await apply(caller, gathered, { mode, granted, is_dry });
  return tally.report(gathered.format, is_dry);
}

/** Of these spaces those that the caller's grants open, in use or not. */
async function grantedOf(caller: Caller, spaces: ReadonlySet<string>): Promise<Set<string>> {
  const { sub, grants } = caller;
  const opened = await caller.read(
    (tx) => tx<{ wanted: string }[]>`
      select wanted from unnest(${[...spaces]}::text[]) as wanted
      where app.access_keys(wanted) && app.held_grants(${sub}, ${grants as string[]})`,
  );
  return new Set(opened.map(({ wanted }) => wanted));
}

async function apply(
  caller: Caller,
  gathered: Gathered,
  { mode, granted, is_dry }: { mode: "skip" | "overwrite"; granted: ReadonlySet<string>; is_dry: boolean },
): Promise<Tally> {
  try {
    return await caller.write(
      async (tx) => {
        const tally = new Tally(gathered.tally); // the work may run again
        const applying = { caller, tally, mode, granted };
        await applyRecords(tx, gathered.records(), applying);
        await applySaid(tx, gathered.said(), applying);
        if (is_dry) throw new TakenBack(tally);
        return tally;
      },
      { seconds: MAX_SECONDS, spaces: [...granted] },
    );
  } catch (error) {
    if (error instanceof TakenBack) return error.tally;
    throw error;
  }
}
