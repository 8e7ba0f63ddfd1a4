import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { environmentVariables } from '../src/config.js';
import { catalogue } from '../src/errors.js';
import { contract } from './support/contract.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test.each(environmentVariables)('the README explains the variable %s', (name) => {
  expect(readme).toMatch(new RegExp(`^\\| .*\`${name}\``, 'm'));
});

test.each(Object.entries(catalogue))('the README lists the error %s', (code, { status }) => {
  expect(readme).toMatch(new RegExp(`^\\| ${status} +\\| \`urn:problem:${code}\` +\\|`, 'm'));
});

test.each(Object.keys(contract.paths))('the README lists the operations of %s', (path) => {
  for (const [method, { operationId }] of Object.entries<{ operationId: string }>(contract.paths[path])) {
    expect(readme).toContain(`${method.toUpperCase()} ${path}`);
    expect(readme).toContain(`\`${operationId}\``);
  }
});
