import { createRequire } from 'node:module';

/** The version of this service, from `package.json`, which is beside both `src/` and `dist/`. */
export const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
