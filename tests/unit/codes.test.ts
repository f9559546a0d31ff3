import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { codeOf, cosine, partsOf, stored } from "../../src/embeddings/codes.ts";

const part = fc.float({ min: -1, max: 1, noNaN: true });
const vectors = fc.array(part, { minLength: 1, maxLength: 65 }).map((parts) => Float32Array.from(parts));

const exact = (one: Float32Array, other: Float32Array) => {
  const [product, own, its] = [one.map((part, place) => part * (other[place] ?? 0)), one, other].map((parts, which) =>
    parts.reduce((sum, part) => sum + (which === 0 ? part : part * part), 0),
  );
  return (product ?? 0) / Math.sqrt((own ?? 0) * (its ?? 0));
};

describe("a vector as it is stored", () => {
  test("has a byte and a half for each part, of even and of odd lengths", () => {
    expect([1, 2, 63, 64].map((length) => stored(new Float32Array(length)).vector.length)).toEqual([2, 3, 95, 96]);
  });

  test("keeps each part to half of a sixteenth of 1/127 of the largest", () => {
    fc.assert(
      fc.property(vectors, (vector) => {
        const largest = Math.max(...vector.map(Math.abs));
        const parts = partsOf(stored(vector).vector, vector.length);
        for (const [place, part] of vector.entries())
          if (largest > 1e-30)
            expect(Math.abs((parts[place] ?? Number.NaN) - (part / largest) * 2032)).toBeLessThanOrEqual(0.5001);
      }),
    );
  });

  test("is told apart where 1/127 of the largest part is too coarse", () => {
    const query = Float32Array.of(1, 0.5);
    const [near, nearer] = [Float32Array.of(1, 0.496), Float32Array.of(1, 0.4985)];
    expect(cosine(query, stored(nearer).vector)).toBeGreaterThan(cosine(query, stored(near).vector));
  });

  test("has a sign for each part, and zero is not negative", () => {
    expect(codeOf(Float32Array.of(0.1, -0.1, 0, -0))).toBe("1011");
  });
});

describe("a cosine", () => {
  test("of random directions is that of the vectors themselves to a thousandth", () => {
    const next = () => Float32Array.from({ length: 256 }, () => Math.random() - 0.5);
    for (let turn = 0; turn < 50; turn++) {
      const [one, other] = [next(), next()];
      expect(Math.abs(cosine(one, stored(other).vector) - exact(one, other))).toBeLessThan(0.001);
    }
  });

  test("of what has no direction is 0", () => {
    expect(cosine(new Float32Array(3), stored(Float32Array.of(1, 2, 3)).vector)).toBe(0);
    expect(cosine(Float32Array.of(1, 2, 3), stored(new Float32Array(3)).vector)).toBe(0);
  });

  test("takes what was stored in steps of 1/127 alone", () => {
    const whole = Buffer.from(Int8Array.of(127, -64, 0, 1).buffer);
    expect([...partsOf(whole, 4)]).toEqual([127 * 16, -64 * 16, 0, 16]);
    expect(cosine(Float32Array.of(127, -64, 0, 1), whole)).toBeCloseTo(1, 12);
  });
});
