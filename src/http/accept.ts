/**
 * Whether a client takes a media type (`type/subtype`, lower case), by its Accept header; all of them without one. The
 * range that names it most closely decides, and q=0 is a no (RFC 9110, 12.5.1).
 */
export function accepts(accept: string | null, type: string): boolean {
  if (accept === null) return true;
  const ranges = [type, type.replace(/\/.*/, "/*"), "*/*"];
  let closest = ranges.length;
  let is_taken = false;
  for (const [range = "", ...parameters] of accept.split(",").map(partsOf)) {
    const place = ranges.indexOf(range);
    if (place === -1 || place > closest) continue;
    closest = place;
    is_taken = !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  }
  return is_taken;
}

const partsOf = (range: string) => range.split(";").map((part) => part.trim().toLowerCase());
