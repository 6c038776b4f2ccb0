/**
 * Which of two kernel releases is the newer one: above 0 for the first, below 0 for the second. As rpm does it (rpmvercmp): numbers and
 * words one after the other, whatever stands between them; a number is newer than a word, and more of them are newer than fewer.
 */
export function compareReleases(one: string, other: string): number {
  const [left, right] = [partsOf(one), partsOf(other)];
  for (const [index, part] of left.entries()) {
    const rival = right[index];
    if (rival === undefined) return 1;
    const order = comparePart(part, rival);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function partsOf(release: string): readonly string[] {
  return release.match(/\d+|[A-Za-z]+/g) ?? [];
}

function comparePart(one: string, other: string): number {
  const [isNumber, isRivalNumber] = [one, other].map(part => /^\d/.test(part));
  if (isNumber !== isRivalNumber) return isNumber ? 1 : -1;
  if (isNumber) return Number(one) - Number(other);
  return one < other ? -1 : Number(one > other);
}
