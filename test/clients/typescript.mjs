/** TypeScript: the types of openapi-typescript, used by openapi-fetch, checked by the compiler. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { contract, emptied, here, run } from './toolchain.mjs';

/** @type {import('./main.mjs').Client} */
export const typescriptClient = {
  name: 'TypeScript, openapi-typescript and openapi-fetch',
  needs: ['npm'],
  test: async (service) => {
    const project = await emptied('typescript');
    await cp(here('typescript'), project, { recursive: true });
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: project });
    const node = (/** @type {string[]} */ ...args) => run(process.execPath, args, { cwd: project, env: service });
    const generator = join('node_modules', 'openapi-typescript', 'bin', 'cli.js');
    await node(generator, contract, '--empty-objects-unknown', '--output', 'checkout-sessions.ts');
    await node(join('node_modules', 'typescript', 'bin', 'tsc'));
    await node(join('out', 'main.js'));
  },
};
