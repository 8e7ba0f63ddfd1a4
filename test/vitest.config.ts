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
    // Optimizing the WebAssembly of the embedded database costs a short process more CPU time than it saves.
    execArgv: ['--liftoff-only'],
    // Tests wait for conditions. These bounds end a test that hangs, and leave a busy machine all the time it needs.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
  },
});
