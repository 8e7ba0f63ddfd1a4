/** The client of openapi-python-client. */
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { clientExample, expectSession } from '../../support/examples.mjs';
import { emptyFolder, python, pythonEnvironment, run } from '../lib/program.mjs';
import { clientFile, contract } from './files.mjs';

const version = '0.29.1';

/** @type {import('./main.mjs').Client} */
export const pythonClient = {
  name: `Python, openapi-python-client ${version}`,
  needs: [python],
  test: async (service) => {
    const program = await pythonEnvironment(`openapi-python-client-${version}`, [`openapi-python-client==${version}`]);
    const packages = await emptyFolder('python');
    const client = join(packages, 'checkout_sessions');
    // The environment of the generator has the client's dependencies: httpx and attrs.
    const generate = ['generate', '--path', contract, '--meta', 'none', '--output-path', client, '--fail-on-warning'];
    // The generator finds its formatter in the PATH.
    await run(program('openapi-python-client'), generate, {
      env: { PATH: `${program('.')}${delimiter}${process.env.PATH}` },
    });
    await run(program('python'), [clientFile('python/main.py')], { env: { ...service, PYTHONPATH: packages } });
    const { code } = await clientExample('python', service);
    await writeFile(join(packages, 'readme.py'), code);
    expectSession(await run(program('python'), ['readme.py'], { cwd: packages }));
  },
};
