import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '../node_modules/.vite',
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['support/template.ts'],
    maxWorkers: '100%',
    // Every file has a database and a service of its own: there is no state of modules to keep apart.
    isolate: false,
    testTimeout: 30_000,
    // What is waited for comes at once on an idle machine, and late on a busy one.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
  },
});
