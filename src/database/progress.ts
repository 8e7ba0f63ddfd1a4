import type { Database } from './engine/database.js';

const saveSql = `INSERT INTO stripe_progress (task, state, updated_at) VALUES ($1, $2::jsonb, now())
  ON CONFLICT (task) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`;

/** Loads and saves the progress of a task, so that its next run continues where this one stops. */
export function taskProgress<State extends object>({ query }: Pick<Database, 'query'>, task: string) {
  return {
    /** Returns the saved state, or undefined if there is none. */
    async load(): Promise<State | undefined> {
      const text = 'SELECT state FROM stripe_progress WHERE task = $1';
      const [row] = await query<{ state: State }>({ text, values: [task] });
      return row?.state;
    },
    async save(state: State): Promise<void> {
      await query({ text: saveSql, values: [task, JSON.stringify(state)] });
    },
    async remove(): Promise<void> {
      await query({ text: 'DELETE FROM stripe_progress WHERE task = $1', values: [task] });
    },
  };
}
