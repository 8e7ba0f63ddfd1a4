/** The Rust clients of OpenAPI Generator, compiled with cargo. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientExample, expectSession } from '../../support/examples.mjs';
import { cachedFolder, emptyFolder, python, run } from '../lib/program.mjs';
import { clientFile, contract } from './files.mjs';
import { generateClient } from './openapi-generator.mjs';

/**
 * 5.4.0 wrote the contract document. 7.0.1 is the oldest 7.x that compiles with nullable maps: 7.0.0 writes `None: None`
 * for them (OpenAPITools/openapi-generator#16472). The last version is the newest.
 */
const versions = ['5.4.0', '7.0.1', '7.26.0'];

/** @type {import('./main.mjs').Client[]} */
export const rustClients = versions.map((version) => ({
  name: `Rust, openapi-generator ${version}`,
  needs: ['cargo', 'java', python],
  test: (service) => test(version, service),
}));

/** @param {string} version @param {{ BASE_URL: string, API_KEY: string }} service */
async function test(version, service) {
  const crate = await emptyFolder(`rust-${version}`);
  await cp(clientFile('rust'), crate, { recursive: true });
  const options = 'packageName=checkout_sessions,useSingleRequestParameter=true';
  await generateClient(version, 'rust', join(crate, 'client'), options);
  await writeFile(join(crate, 'src', 'unfiltered.rs'), await unfiltered());
  // All versions share their compiled dependencies.
  const target = await cachedFolder('rust-target', async () => {});
  const env = { ...service, CARGO_TARGET_DIR: target, RUSTFLAGS: '--cap-lints allow' };
  await run('cargo', ['run', '--quiet', '--bin', 'checkout-sessions-client-test'], { cwd: crate, env });
  const { code } = await clientExample('rust', service);
  await mkdir(join(crate, 'src', 'bin'));
  await writeFile(join(crate, 'src', 'bin', 'readme.rs'), program(code));
  expectSession(await run('cargo', ['run', '--quiet', '--bin', 'readme'], { cwd: crate, env }));
}

/** Puts the example of the documentation into a program. @param {string} code */
function program(code) {
  return `#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
${code}    Ok(())
}
`;
}

/** Generates the parameters of a list without filters. Rust has no optional parameters, so the list names them all. */
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
