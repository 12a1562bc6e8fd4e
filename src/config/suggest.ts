// Finds what somebody meant who wrote a name that does not exist.

/** The nearest candidate, if it is near enough to be meant: a third of the characters may differ, and two always. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions and replacements, and swaps of neighbours, between two words (optimal string alignment). */
export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1];
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[right.length] ?? 0;
}

/**
 * The option that an unknown key at `path` was meant to be: a sibling with a similar name, or one elsewhere with the
 * same name or the same words ("token_hmac_secret_key" for `client.token.hmac_secret_key`).
 */
export function nearestOption(
  path: readonly string[],
  known: readonly (readonly string[])[],
): readonly string[] | undefined {
  const [key = '', parent] = [path.at(-1), path.slice(0, -1)];
  const siblings = new Map<string, readonly string[]>();
  for (const option of known) {
    const name = option[parent.length];
    if (name !== undefined && parent.every((step, index) => step === option[index])) {
      siblings.set(name, option.slice(0, parent.length + 1));
    }
  }
  const sibling = nearest(key, siblings.keys());
  if (sibling !== undefined) return siblings.get(sibling);
  const elsewhere = known.find((option) => option.at(-1) === key);
  if (elsewhere !== undefined) return elsewhere;
  const byWords = new Map(known.map((option) => [option.join('_'), option]));
  const words = path.filter((step) => step !== '[]').join('_');
  const match = nearest(words, byWords.keys()) ?? endsWithWords(key, byWords.keys());
  return match === undefined ? undefined : byWords.get(match);
}

function endsWithWords(key: string, candidates: Iterable<string>): string | undefined {
  if (!key.includes('_')) return undefined;
  for (const candidate of candidates) if (candidate.endsWith(`_${key}`)) return candidate;
  return undefined;
}
