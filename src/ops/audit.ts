import { createHash } from "node:crypto";
import postgres from "postgres";

/** The end of an org's chain: its last number and the hash there. What `--json` prints and `--against` reads. */
export interface Head {
  org_id: string;
  org: string | null;
  seq: number;
  hash: string;
}

/** What was found of one org's chain. */
export interface ChainReport extends Head {
  /** Events that are not chained yet. */
  unsealed: number;
  /** Events whose personal payload has been erased. */
  erased: number;
  /** What is wrong, as sentences; none is right. */
  faults: string[];
}

/** An event as the chain holds it. Times are text, with microseconds. */
interface Event {
  org_id: string;
  id: string;
  at: string;
  user_id: string | null;
  action: string;
  outcome: string;
  code: string | null;
  targets: string[];
  changed: string[];
  request_id: string | null;
  salt: string | null;
  sub: string | null;
  app: string | null;
  access_entities: string[] | null;
  payload_digest: string;
  seq: string;
  hash: string;
}

const ROWS_AT_ONCE = 1000;

/**
 * Computes every org's chain anew, as the owner, in one snapshot, and compares: a changed, removed, added or moved event
 * shows, and with heads of before a chain that was cut off at its end or written anew. Events not chained yet, a second's
 * worth, are counted and no more. Throws what PostgreSQL throws.
 */
export async function verifyAudit(owner_url: string, against: readonly Head[] = []): Promise<ChainReport[]> {
  return asOwner(owner_url, (owner) =>
    owner.begin("isolation level repeatable read read only", async (tx) => {
      const chains = await tx<(Head & { unsealed: number })[]>`
        select org_id, orgs.name as org, coalesce(audit_chains.seq, 0)::float8 as seq,
               coalesce(encode(audit_chains.hash, 'hex'), '') as hash,
               (select count(*)::int from brain.audit_events
                where audit_events.org_id = known.org_id and audit_events.seq is null) as unsealed
        from (select org_id from brain.audit_chains
              union select org_id from brain.audit_events
              union select unnest(${against.map((head) => head.org_id)}::uuid[])) as known
        left join brain.audit_chains using (org_id)
        left join brain.orgs using (org_id)
        order by orgs.name, org_id`;
      const reports: ChainReport[] = [];
      for (const chain of chains) {
        const earlier = against.filter((head) => head.org_id === chain.org_id);
        reports.push({ ...chain, ...(await walk(tx, chain, earlier)) });
      }
      return reports;
    }),
  );
}

/** Walks one chain from its start to its first fault. */
async function walk(tx: postgres.TransactionSql, chain: Head, earlier: readonly Head[]) {
  let erased = 0;
  let seq = 0;
  let hash: Buffer = Buffer.alloc(0);
  const seen = new Map(earlier.map((head) => [head.seq, head.hash]));
  const events = tx<Event[]>`
    select org_id, id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, user_id, action, outcome,
           code, targets, changed, request_id, salt, sub, app, access_entities,
           encode(payload_digest, 'hex') as payload_digest, seq, encode(hash, 'hex') as hash
    from brain.audit_events
    where org_id = ${chain.org_id} and seq is not null
    order by audit_events.seq`.cursor(ROWS_AT_ONCE);
  for await (const page of events)
    for (const event of page) {
      if (Number(event.seq) !== seq + 1) return { erased, faults: [`the event ${seq + 1} is missing`] };
      seq++;
      if (isErased(event)) erased++;
      else if (digestOf(event) !== event.payload_digest)
        return { erased, faults: [`the event ${seq} (${event.id}) names other persons or spaces than it did`] };
      hash = hashOf(hash, event);
      if (hash.toString("hex") !== event.hash)
        return { erased, faults: [`the event ${seq} (${event.id}) is not what was chained`] };
      if (seen.has(seq) && seen.get(seq) !== event.hash)
        return { erased, faults: [`the chain is another one than before: the hash at ${seq} differs`] };
    }
  const faults: string[] = [];
  if (chain.seq !== seq || chain.hash !== hash.toString("hex"))
    faults.push(`the chain ends at ${seq}, and was left at ${chain.seq}`);
  for (const head of earlier)
    if (head.seq > seq) faults.push(`the chain ends at ${seq}, and reached ${head.seq} before`);
  return { erased, faults };
}

/** All of it at once: with the salt gone and a name left there would be nothing to hold the name against. */
const isErased = ({ salt, sub, app, access_entities }: Event) =>
  salt === null && sub === null && app === null && access_entities === null;

const digestOf = ({ salt, sub, app, access_entities }: Event) =>
  createHash("sha256")
    .update(framed(salt, sub, app, listed(access_entities ?? [])))
    .digest("hex");

const hashOf = (before: Buffer, event: Event) =>
  createHash("sha256")
    .update(before)
    .update(
      framed(
        event.seq,
        event.id,
        event.at,
        event.user_id,
        event.action,
        event.outcome,
        event.code,
        listed(event.targets),
        listed(event.changed),
        event.request_id,
        event.payload_digest,
      ),
    )
    .digest();

/** What app.framed() computes in the database (sql/audit.sql). */
function framed(...fields: (string | null)[]): string {
  return fields.map((field) => (field === null ? "-" : `${Buffer.byteLength(field)}:${field}`)).join(",");
}

/** No fields at all make null there. */
const listed = (fields: string[]) => (fields.length === 0 ? null : framed(...fields));

/**
 * Takes what is personal of one user out of the audit: name, app and spaces of their events, and of the operator's that
 * touched their own space. The events stay, and so does the chain, which holds digests with a salt that goes too. Gives
 * how many; what they do while it runs may stay. That it was done is an event of its own. Throws what PostgreSQL throws.
 */
export async function eraseFromAudit(owner_url: string, { org, sub }: { org: string; sub: string }): Promise<number> {
  return asOwner(owner_url, async (owner) => {
    const theirs = owner`
      org_id = app.org_key(${org}) and (sub = ${sub} or ${`user:${sub}`} = any (access_entities))`;
    const [begun] = await owner<{ at: string }[]>`select clock_timestamp()::text as at`;
    // An event that is not chained yet has no digest to be kept by. Each turn in a transaction of its own, as a sealer
    // has it: one of several turns would hold ends of chains that a sealer waits for while it waits for the sealer's.
    const unsealed = () => owner`
      select from brain.audit_events where ${theirs} and seq is null and at <= ${begun?.at ?? ""}::text::timestamptz limit 1`;
    while ((await unsealed()).length > 0) {
      await owner.begin((tx) => waitForSealer(tx, org));
      await owner.begin((tx) => tx`select app.seal_audit(1000000)`);
    }
    return owner.begin(async (tx) => {
      await waitForSealer(tx, org);
      const erased = await tx`
        update brain.audit_events
        set salt = null, sub = null, app = null, access_entities = null
        where ${theirs} and seq is not null
        returning id`;
      if (erased.length > 0)
        await tx`
          insert into brain.audit_events (org_id, action, targets)
          values (app.org_key(${org}), 'audit.erased', ${[String(erased.length)]})`;
      return erased.length;
    });
  });
}

/** Takes the end of an org's chain until the transaction ends; without that, a sealer at work would be passed over. */
const waitForSealer = (tx: postgres.TransactionSql, org: string) =>
  tx`select from brain.audit_chains where org_id = app.org_key(${org}) for update`;

async function asOwner<T>(owner_url: string, work: (owner: postgres.Sql) => Promise<T>): Promise<T> {
  const owner = postgres(owner_url, { max: 1, onnotice: () => {} });
  try {
    return await work(owner);
  } finally {
    await owner.end();
  }
}
