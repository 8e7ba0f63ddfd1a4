/** The clients of OpenAPI Generator for Go, Java, PHP, Ruby and TypeScript (fetch), run with packages of Debian. */
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { emptyFolder, python, run } from '../lib/program.mjs';
import { clientFile } from './files.mjs';
import { generateClient, generatorJar } from './openapi-generator.mjs';

const version = '7.26.0';
const generator = /** @type {const} */ (['java', python]);

/** @type {import('./main.mjs').Client} */
export const goClient = {
  name: `Go, openapi-generator ${version}`,
  needs: [...generator, 'go'],
  test: async (service) => {
    const project = await emptyFolder('go');
    await cp(clientFile('go'), project, { recursive: true });
    // As a package of our module: the generated module requires a newer Go than its code needs.
    const properties = 'enumClassPrefix=true,packageName=checkoutsessions,withGoMod=false';
    await generateClient(version, 'go', join(project, 'checkoutsessions'), properties);
    await run('go', ['run', '.'], { cwd: project, env: { ...service, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' } });
  },
};

/** @type {import('./main.mjs').Client} */
export const javaClient = {
  name: `Java, openapi-generator ${version} with its native library`,
  needs: [...generator, 'javac'],
  test: async (service) => {
    const project = await emptyFolder('java');
    const properties = 'library=native,useSingleRequestParameter=true,openApiNullable=false';
    await generateClient(version, 'java', project, properties, [
      ...['--type-mappings', 'object=MetadataFilter', '--import-mappings', 'MetadataFilter=checkout.MetadataFilter'],
      // A request has a getter for each parameter, and no Java class may override Object.wait().
      ...['--parameter-name-mappings', 'wait=waitSeconds'],
    ]);
    // The generator's jar contains Jackson, which a project gets from Maven Central.
    const jar = await generatorJar(version);
    const sources = [...(await javaFiles(join(project, 'src', 'main'))), ...(await javaFiles(clientFile('java')))];
    const classes = join(project, 'classes');
    await run('javac', ['-nowarn', '-encoding', 'UTF-8', '-cp', jar, '-d', classes, ...sources]);
    await run('java', ['-cp', [classes, jar].join(process.platform === 'win32' ? ';' : ':'), 'Main'], { env: service });
  },
};

/** @param {string} folder */
async function javaFiles(folder) {
  const files = await readdir(folder, { recursive: true });
  return files.filter((file) => file.endsWith('.java')).map((file) => join(folder, file));
}

/** @type {import('./main.mjs').Client} */
export const phpClient = {
  name: `PHP, openapi-generator ${version}`,
  needs: [...generator, { name: 'Guzzle for php', probe: ['php', '-r', 'require "GuzzleHttp/autoload.php";'] }],
  test: async (service) => {
    const client = await emptyFolder('php');
    await generateClient(version, 'php', client, 'invokerPackage=CheckoutSessions');
    await run('php', [clientFile('php/main.php')], { env: { ...service, CLIENT: client } });
  },
};

/** @type {import('./main.mjs').Client} */
export const rubyClient = {
  name: `Ruby, openapi-generator ${version}`,
  needs: [...generator, { name: 'Typhoeus for ruby', probe: ['ruby', '-e', 'require "typhoeus"'] }],
  test: async (service) => {
    const client = await emptyFolder('ruby');
    await generateClient(version, 'ruby', client, 'gemName=checkout_sessions');
    // The sources are UTF-8, in any locale of the machine.
    await run('ruby', ['-E', 'UTF-8', '-I', join(client, 'lib'), clientFile('ruby/main.rb')], { env: service });
  },
};

/** @type {import('./main.mjs').Client} */
export const typescriptFetchClient = {
  name: `TypeScript, openapi-generator ${version} typescript-fetch`,
  needs: [...generator, 'npm'],
  test: async (service) => {
    const project = await emptyFolder('typescript-fetch');
    for (const file of ['package.json', 'package-lock.json', 'tsconfig.json']) {
      await cp(clientFile(`typescript/${file}`), join(project, file));
    }
    await cp(clientFile('fetch/main.ts'), join(project, 'main.ts'));
    await generateClient(version, 'typescript-fetch', join(project, 'client'), 'importFileExtension=.js');
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: project });
    // The generated code fails two checks beyond `strict`.
    const lenient = ['--exactOptionalPropertyTypes', 'false', '--noUncheckedIndexedAccess', 'false'];
    const runNode = (/** @type {string[]} */ ...args) => run(process.execPath, args, { cwd: project, env: service });
    await runNode(join('node_modules', 'typescript', 'bin', 'tsc'), ...lenient);
    await runNode(join('out', 'main.js'));
  },
};
