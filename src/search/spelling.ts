/**
 * Whether one word becomes the other by one letter that is changed, added, left out, or changed places with the next.
 */
export function isOneTypoAway(one: string, other: string): boolean {
  const [short, long] = [[...one], [...other]].sort((a, b) => a.length - b.length) as [string[], string[]];
  if (long.length - short.length > 1 || one === other) return false;
  let start = 0;
  while (start < short.length && short[start] === long[start]) start++;
  let end = 0;
  while (end < short.length - start && short[short.length - 1 - end] === long[long.length - 1 - end]) end++;
  const [left, more] = [short.length - start - end, long.length - start - end];
  if (left <= 1 && more <= 1) return true;
  return left === 2 && more === 2 && short[start] === long[start + 1] && short[start + 1] === long[start];
}
