import { closest, distance } from 'fastest-levenshtein';

/**
 * Ends a sentence with the known word that is nearest to a wrong one; empty when none is near. Of a short word everything
 * is near, so one letter in three may be wrong, and the first one only by itself.
 */
export function didYouMean(wrong: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const word = wrong.toLowerCase();
  const nearest = closest(word, known);
  const most = word[0] === nearest[0] ? Math.ceil(word.length / 3) : 1;
  return distance(word, nearest) <= most ? `; did you mean ${nearest}?` : '';
}
