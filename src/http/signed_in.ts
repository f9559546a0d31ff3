import { Elysia } from "elysia";
import type { Caller } from "../db.ts";
import { missingAuth } from "../problem.ts";

/** Who each request is from. Filled by the door before anything else of a request is looked at. */
const callers = new WeakMap<Request, Caller>();

/** Says whom a request is from. The door alone does. */
export const signIn = (request: Request, caller: Caller) => void callers.set(request, caller);
/** Whom a request is from; undefined where the door has let nobody in. */
export const callerOf = (request: Request) => callers.get(request);

/** Gives the routes of a feature their `caller`, as long as its client waits. Fails closed where the door was not passed. */
export const signedIn = new Elysia({ name: "signed-in" }).derive({ as: "scoped" }, ({ request }) => {
  const caller = callers.get(request);
  if (!caller) throw missingAuth();
  return { caller: caller.until(request.signal) };
});
