/** The generators of OpenAPI Generator, of which PyPI's package holds the jar of Maven Central. */
import { join } from 'node:path';
import { cachedFolder, python, run } from '../lib/program.mjs';
import { contract } from './files.mjs';

/** The jar of a version, which is fetched once. @param {string} version */
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
 * @param {string} version @param {string} generator its name, such as `go` @param {string} output folder
 * @param {string} properties its own options, `name=value` with commas between them
 * @param {readonly string[]} [more] further arguments
 */
export async function generateClient(version, generator, output, properties, more = []) {
  const args = ['generate', '--generator-name', generator, '--input-spec', contract, '--output', output];
  await run('java', ['-jar', await generatorJar(version), ...args, '--additional-properties', properties, ...more]);
}
