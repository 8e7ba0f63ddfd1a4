/** TypeScript: the types of openapi-typescript, used by openapi-fetch, checked by the compiler. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readmeSnippet, showsSession } from '../../support/snippets.mjs';
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
    const node = (/** @type {string[]} */ ...args) => run(process.execPath, args, { cwd: project, env: service });
    const generator = join('node_modules', 'openapi-typescript', 'bin', 'cli.js');
    await node(generator, contract, '--empty-objects-unknown', '--output', 'checkout-sessions.ts');
    await node(join('node_modules', 'typescript', 'bin', 'tsc'));
    await node(join('out', 'main.js'));
    await followReadme(service);
  },
};

/** Does what the README says in a new folder, command by command. @param {{ BASE_URL: string, API_KEY: string }} service */
async function followReadme(service) {
  const folder = await emptyFolder('readme-typescript');
  const { code, setup } = await readmeSnippet('typescript', service);
  await writeFile(join(folder, 'main.ts'), code);
  let output = '';
  for (const command of setup) output = await run(command, [], { cwd: folder, shell: true });
  showsSession(output);
}
