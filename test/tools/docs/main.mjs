/**
 * Writes the generated tables into the pages of docs/, between `<!-- generated: NAME -->` and `<!-- end -->`. With `--check` it
 * changes nothing and fails when a page differs from the code.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { pages } from '../../support/markdown.mjs';
import { tables } from './tables.mjs';

const help = `Writes the generated tables into docs/: variables, commands, operations, errors and metrics.

  npm run docs -- [--check]

  --check  change nothing, exit with 1 when a page differs from the code
`;

const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
const root = new URL('../../../', import.meta.url);
const section = /(<!-- generated: (\w+) -->\n).*?(<!-- end -->)/gs;

if (values.help) process.stdout.write(help);
else process.exitCode = await run();

/** Returns the exit code. */
async function run() {
  const texts = await tables();
  const unused = new Set(Object.keys(texts));
  let isCurrent = true;
  for (const page of pages) {
    const file = new URL(page, root);
    const before = readFileSync(file, 'utf8');
    const after = before.replaceAll(section, (_, start, name, end) => {
      const text = texts[name];
      if (text === undefined) throw new Error(`${page}: there is no table ${name}`);
      unused.delete(name);
      return `${start}\n${text}\n${end}`;
    });
    if (after === before) continue;
    isCurrent = false;
    if (!values.check) writeFileSync(file, after);
    process.stdout.write(`${page} ${values.check ? 'differs from the code: run npm run docs' : 'written'}\n`);
  }
  for (const name of unused) process.stdout.write(`no page has the table ${name}\n`);
  return (values.check && !isCurrent) || unused.size > 0 ? 1 : 0;
}
