/** OpenAPI Generator, from PyPI: the package there contains the jar of Maven Central. */
import { join } from 'node:path';
import { cachedFolder, python, run } from '../lib/program.mjs';
import { contract } from './files.mjs';

/** Returns the path of a version's jar, which is downloaded once. @param {string} version */
export async function generatorJar(version) {
  const folder = await cachedFolder(`openapi-generator-${version}`, (target) => {
    const install = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', target];
    return run(python, [...install, `openapi-generator-cli==${version}`]);
  });
  return join(folder, 'openapi_generator_cli', 'openapi-generator.jar');
}

/**
 * Generates a client from the reviewed contract.
 *
 * @param {string} version @param {string} generator such as `go` @param {string} output folder
 * @param {string} properties options of the generator, `name=value` separated by commas
 * @param {readonly string[]} [more] arguments
 */
export async function generateClient(version, generator, output, properties, more = []) {
  const args = ['generate', '--generator-name', generator, '--input-spec', contract, '--output', output];
  await run('java', ['-jar', await generatorJar(version), ...args, '--additional-properties', properties, ...more]);
}
