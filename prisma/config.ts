import { defineConfig } from 'prisma/config';

// Prisma's CLI downloads its native schema engine unless this variable names an executable. The service never needs that
// engine: migrations run on the WebAssembly engine (src/database/engine/migrate.ts).
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({
  schema: 'schema.prisma',
  migrations: { path: 'migrations' },
});
