/**
 * Retries a write that raced with a concurrent create or delete.
 *
 * @param work resolves to undefined when it lost the race.
 */
export async function retryRaces<Value>(work: () => Promise<Value | undefined>): Promise<Value> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    const value = await work();
    if (value !== undefined) return value;
  }
  throw new Error('a session was created and deleted too often to write it');
}
