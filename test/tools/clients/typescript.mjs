/** The types of openapi-typescript with the client openapi-fetch, checked by the compiler. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientExample, expectSession } from '../../support/examples.mjs';
import { emptyFolder, run } from '../lib/program.mjs';
import { clientFile, contract } from './files.mjs';

/** @type {import('./main.mjs').Client} */
export const typescriptClient = {
  name: 'TypeScript, openapi-typescript and openapi-fetch',
  needs: ['npm'],
  test: async (service) => {
    const project = await emptyFolder('typescript');
    await cp(clientFile('typescript'), project, { recursive: true });
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: project });
    const runNode = (/** @type {string[]} */ ...args) => run(process.execPath, args, { cwd: project, env: service });
    const generator = join('node_modules', 'openapi-typescript', 'bin', 'cli.js');
    await runNode(generator, contract, '--empty-objects-unknown', '--output', 'checkout-sessions.ts');
    await runNode(join('node_modules', 'typescript', 'bin', 'tsc'));
    await runNode(join('out', 'main.js'));
    await followDocumentation(service);
  },
};

/**
 * Runs the commands of the documentation in a new folder, as printed.
 *
 * @param {{ BASE_URL: string, API_KEY: string }} service
 */
async function followDocumentation(service) {
  const folder = await emptyFolder('documentation-typescript');
  const { code, setup } = await clientExample('typescript', service);
  await writeFile(join(folder, 'main.ts'), code);
  let output = '';
  for (const command of setup) output = await run(command, [], { cwd: folder, shell: true });
  expectSession(output);
}
