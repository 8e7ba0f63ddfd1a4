import { defineConfig } from 'prisma/config';

// The native schema engine is a download and is never needed: migrations run on the WebAssembly one
// (src/database/engine/migrate.ts). Naming any executable keeps the CLI from fetching it.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({
  schema: 'schema.prisma',
  migrations: { path: 'migrations' },
});
