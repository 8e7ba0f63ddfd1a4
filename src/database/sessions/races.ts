const maxAttempts = 20;

/**
 * Retries a write that raced with a concurrent create or delete.
 *
 * @param work resolves to undefined when it lost the race.
 * @throws Error when 20 attempts lost the race.
 */
export async function retryRaces<Value>(work: () => Promise<Value | undefined>): Promise<Value> {
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const value = await work();
    if (value !== undefined) return value;
  }
  throw new Error(`the write lost ${maxAttempts} races with concurrent creates and deletes of its session`);
}
