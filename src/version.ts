import { createRequire } from 'node:module';

/** The version of this service, from `package.json`, which lies beside `src/` and `dist/` alike. */
export const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
