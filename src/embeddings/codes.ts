/** A vector as it is stored. */
export interface Stored {
  /** The signs of its parts, `1` for what is not negative: compared by counting bits, in the database. */
  code: string;
  /** Its parts in 12 bits each: compared exactly, for the few whose signs are near. */
  vector: Buffer;
}

/** A step is 1/127 of a vector's largest part, and has so many of the finer ones that four bits count. */
const STEPS = 127;
const FINER = 16;

/**
 * A vector in its two stored forms. Its length is lost, and with it nothing that a cosine asks for. Its parts are counted
 * in sixteenths of a step: first a byte for each with its whole steps, then half a byte for each with the sixteenths
 * above them, two in a byte, the first one's above the second's.
 */
export function stored(vector: Float32Array): Stored {
  let largest = 0;
  for (const part of vector) largest = Math.max(largest, Math.abs(part));
  const unit = largest === 0 ? 0 : (STEPS * FINER) / largest;
  const bytes = Buffer.alloc(vector.length + Math.ceil(vector.length / 2));
  for (const [place, part] of vector.entries()) {
    const counted = Math.round(part * unit);
    bytes.writeInt8(counted >> 4, place);
    const half = vector.length + (place >> 1);
    bytes[half] = (bytes[half] ?? 0) | ((counted & 15) << (place % 2 === 0 ? 4 : 0));
  }
  return { code: codeOf(vector), vector: bytes };
}

/** The signs of a vector's parts. */
export const codeOf = (vector: Float32Array) => Array.from(vector, (part) => (part >= 0 ? "1" : "0")).join("");

/**
 * The parts of a vector as it is stored, in units of its own. Those stored before there were sixteenths have whole steps
 * alone, and are as long as the vector.
 */
export function partsOf(bytes: Uint8Array, dimensions: number): Int16Array {
  const parts = new Int16Array(dimensions);
  const is_whole = bytes.length === dimensions;
  for (let place = 0; place < dimensions; place++) {
    const steps = ((bytes[place] ?? 0) << 24) >> 20; // the sign of a byte, and room for the sixteenths
    const pair = is_whole ? 0 : (bytes[dimensions + (place >> 1)] ?? 0);
    parts[place] = steps | (place % 2 === 0 ? pair >> 4 : pair & 15);
  }
  return parts;
}

/** The cosine of a vector and one as it is stored; -1 to 1, and 0 where one of them has no direction. */
export function cosine(vector: ArrayLike<number>, bytes: Uint8Array): number {
  const parts = partsOf(bytes, vector.length);
  let product = 0;
  let own = 0;
  let other = 0;
  for (let place = 0; place < parts.length; place++) {
    const one = vector[place] ?? 0;
    const part = parts[place] ?? 0;
    product += one * part;
    own += one * one;
    other += part * part;
  }
  return own === 0 || other === 0 ? 0 : product / Math.sqrt(own * other);
}
