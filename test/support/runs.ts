/**
 * Returns the number of random cases a property test tries: PROOF_RUNS if set, as in continuous integration.
 *
 * @param usual few enough for a developer who waits
 */
export function proofRuns(usual: number): number {
  return Number(process.env.PROOF_RUNS ?? usual);
}
