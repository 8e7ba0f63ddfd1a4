import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '../node_modules/.vite',
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    globalSetup: ['support/template.ts'],
    maxWorkers: '100%',
    // Each file has its own database and service. There is no module state to isolate.
    isolate: false,
    // Without optimizing WebAssembly: in a short process, that costs more CPU time than it saves.
    execArgv: ['--liftoff-only'],
    // Tests poll for conditions. These limits only end a test that hangs, even on a busy machine.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
  },
});
