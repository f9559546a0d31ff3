import { invalidInput } from "../problem.ts";

/** The place of a row in a list that is newest first. */
export interface Place {
  created_at: string;
  id: string;
}

const PLACE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/;

/** An opaque text that leads to the rows after this one. */
export const cursorOf = ({ created_at, id }: Place) => Buffer.from(`${created_at} ${id}`).toString("base64url");

/** The place a cursor names. Throws INVALID_INPUT for anything cursorOf did not make. */
export function cursorFrom(cursor: string): Place {
  const [, created_at, id] = PLACE.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (!created_at || !id || !isInstant(created_at))
    throw invalidInput([{ at: "cursor", message: "is not one that a list gave out" }]);
  return { created_at, id };
}

/** Date.parse takes the 31st of February for a day in March. */
function isInstant(text: string): boolean {
  const parsed = new Date(text);
  return (
    !text.startsWith("0000") && !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(text.slice(0, 19))
  );
}
