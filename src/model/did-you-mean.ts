import { closest, distance } from 'fastest-levenshtein';

/**
 * Returns `; did you mean …?` with the known word that is nearest to a misspelt one, or `''` if no word is near. A word is
 * near if its edit distance is at most a third of the misspelt word's length, rounded up. If the first letters differ, the
 * distance may be 1 at most: otherwise every short word would be near.
 */
export function didYouMean(misspelt: string, knownWords: readonly string[]): string {
  if (knownWords.length === 0) return '';
  const word = misspelt.toLowerCase();
  const nearest = closest(word, knownWords);
  const maxDistance = word[0] === nearest[0] ? Math.ceil(word.length / 3) : 1;
  return distance(word, nearest) <= maxDistance ? `; did you mean ${nearest}?` : '';
}
