/** Rust: the clients of openapi-generator, compiled with cargo. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, contract, emptied, here, python, run } from './toolchain.mjs';

/**
 * 5.4.0 wrote the contract document; 7.0.1 is the oldest of its line to compile with nullable maps, as 7.0.0 writes
 * `None: None` for them (OpenAPITools/openapi-generator#16472); the last is the newest.
 */
const versions = ['5.4.0', '7.0.1', '7.26.0'];

/** @type {import('./main.mjs').Client[]} */
export const rustClients = versions.map((version) => ({
  name: `Rust, openapi-generator ${version}`,
  needs: ['cargo', 'java', python],
  test: (service) => test(version, service),
}));

/** @param {string} version @param {Record<string, string>} service */
async function test(version, service) {
  // The package of PyPI holds the generator of Maven Central.
  const generator = await cached(`openapi-generator-${version}`, (folder) =>
    run(python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--target',
      folder,
      `openapi-generator-cli==${version}`,
    ]),
  );
  const jar = join(generator, 'openapi_generator_cli', 'openapi-generator.jar');
  const crate = await emptied(`rust-${version}`);
  await cp(here('rust'), crate, { recursive: true });
  const options = 'packageName=checkout_sessions,useSingleRequestParameter=true';
  const generate = [
    'generate',
    '--generator-name',
    'rust',
    '--additional-properties',
    options,
    '--input-spec',
    contract,
  ];
  await run('java', ['-jar', jar, ...generate, '--output', join(crate, 'client')]);
  await writeFile(join(crate, 'src', 'unfiltered.rs'), await unfiltered());
  await run('cargo', ['run', '--quiet'], {
    cwd: crate,
    // The versions share what they depend on.
    env: { ...service, CARGO_TARGET_DIR: await cached('rust-target', async () => {}), RUSTFLAGS: '--cap-lints allow' },
  });
}

/** Rust has no optional parameters: a list without filters, which names them all. */
async function unfiltered() {
  const { paths } = JSON.parse(await readFile(contract, 'utf8'));
  /** @type {{ name: string }[]} */
  const parameters = paths['/api/checkout-sessions'].get.parameters;
  const fields = parameters.map(({ name }) => `        ${name}: None,\n`).join('');
  return `use checkout_sessions::apis::checkout_sessions_api::CheckoutSessionsListParams;

pub fn unfiltered() -> CheckoutSessionsListParams {
    CheckoutSessionsListParams {
${fields}    }
}
`;
}
