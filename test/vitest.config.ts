import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '../node_modules/.vite',
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['support/template.ts'],
    // Many tests wait, for a process or for the database: a core can serve more than one.
    maxWorkers: Math.max(3, availableParallelism()),
    // Every file has a database and a service of its own: there is no state of modules to keep apart.
    isolate: false,
    testTimeout: 30_000,
    // What is waited for comes at once on an idle machine, and late on a busy one.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
  },
});
