import type { Caller } from "../db.ts";

/** Of ids made here by name (RFC 9562, version 5). */
const NAMESPACE = "3f1e5f0c-5d1d-4a57-9b6e-0d2c8a7e41b6";

const namespaces = new WeakMap<object, string>();

/** The id under which a caller imports what an archive calls `old`: always the same for the same caller, nobody else's. */
export function importedId(caller: Pick<Caller, "org" | "sub">, old: string): string {
  let own = namespaces.get(caller);
  if (!own) {
    own = Bun.randomUUIDv5(JSON.stringify([caller.org, caller.sub]), NAMESPACE);
    namespaces.set(caller, own);
  }
  return Bun.randomUUIDv5(old.toLowerCase(), own);
}

/** An id for something that has only a name, for readers of the earlier format. */
export const namedId = (kind: string, name: string) => Bun.randomUUIDv5(`${kind}:${name}`, NAMESPACE);

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** The id of a foreign archive as a uuid: what is one stays as it is. */
export const importedFrom = (id: string) => (UUID.test(id) ? id.toLowerCase() : namedId("foreign", id));
