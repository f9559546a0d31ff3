/** A vector as it is stored. */
export interface Stored {
  /** The signs of its parts, `1` for what is not negative: compared by counting bits, in the database. */
  code: string;
  /** Its parts in steps of 1/127 of the largest: compared exactly, for the few whose signs are near. */
  vector: Buffer;
}

/** A vector in its two stored forms. Its length is lost, and with it nothing that a cosine asks for. */
export function stored(vector: Float32Array): Stored {
  let largest = 0;
  for (const part of vector) largest = Math.max(largest, Math.abs(part));
  const steps = Int8Array.from(vector, (part) => (largest === 0 ? 0 : Math.round((part / largest) * 127)));
  return { code: codeOf(vector), vector: Buffer.from(steps.buffer) };
}

/** The signs of a vector's parts. */
export const codeOf = (vector: Float32Array) => Array.from(vector, (part) => (part >= 0 ? "1" : "0")).join("");

/** The cosine of a vector and one as it is stored; -1 to 1. */
export function cosine(vector: Float32Array, bytes: Uint8Array): number {
  const steps = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let product = 0;
  let own = 0;
  let other = 0;
  for (let place = 0; place < steps.length; place++) {
    const part = vector[place] ?? 0;
    const step = steps[place] ?? 0;
    product += part * step;
    own += part * part;
    other += step * step;
  }
  return own === 0 || other === 0 ? 0 : product / Math.sqrt(own * other);
}
