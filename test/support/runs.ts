/**
 * Returns how many random cases a proof tries: PROOF_RUNS where it is set, as it is in continuous integration.
 *
 * @param usual few enough for a developer who waits
 */
export function proofRuns(usual: number): number {
  return Number(process.env.PROOF_RUNS ?? usual);
}
