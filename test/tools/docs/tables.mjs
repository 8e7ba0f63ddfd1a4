/** The tables of the documentation, made from the built service. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';

const root = new URL('../../../', import.meta.url);

/** Imports a module of the built service, with the types of its source. */
const built = (/** @type {string} */ path) => import(new URL(`dist/${path}.js`, root).href);

/** @type {typeof import('../../../src/app.js')} */
const { buildApp } = await built('app');
/** @type {typeof import('../../../src/config.js')} */
const { environmentVariables, parseConfig, secretFileVariables } = await built('config');
/** @type {typeof import('../../../src/config-variables.js')} */
const { environment } = await built('config-variables');
/** @type {typeof import('../../../src/database/engine/postgres.js')} */
const { openPostgres } = await built('database/engine/postgres');
/** @type {typeof import('../../../src/errors.js')} */
const { catalogue } = await built('errors');

/** Returns each table by its name, as Markdown. @returns {Promise<Record<string, string>>} */
export async function tables() {
  const { document, metrics } = await inspectService();
  return {
    variables: variablesTable(),
    commands: await commandsTable(),
    operations: operationsTable(document),
    errors: errorsTable(),
    metrics: metricsTable(metrics),
  };
}

/**
 * Returns a table as Biome formats it: each column is as wide as its widest cell.
 *
 * @param {string[]} heads @param {string[][]} rows
 */
function table(heads, rows) {
  if (rows.length === 0) throw new Error(`the table of ${heads[0]}s is empty`);
  const lines = [heads, ...rows].map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = heads.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)));
  const line = (/** @type {string[]} */ cells) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`;
  const [head = [], ...body] = lines;
  return line(head) + line(widths.map((width) => '-'.repeat(width))) + body.map(line).join('');
}

const code = (/** @type {unknown} */ text) => `\`${text}\``;

/** Puts the names of variables, outside code spans, into code spans. @param {string} text */
function withCode(text) {
  return text.replaceAll(/`[^`]*`|\b[A-Z][A-Z_]+\b/g, (word) =>
    environmentVariables.includes(word) ? code(word) : word,
  );
}

function variablesTable() {
  const rows = Object.entries(environment.properties).map(([name, schema]) => {
    const { default: value, description = '' } = /** @type {{ default?: unknown, description?: string }} */ (schema);
    const file = `${name}_FILE`;
    const also = secretFileVariables.includes(file) ? ` ${code(file)} names a file that holds it.` : '';
    return [code(name), value === undefined || value === '' ? 'none' : code(value), withCode(description) + also];
  });
  return table(['variable', 'default', 'meaning'], rows);
}

function errorsTable() {
  const kinds = Object.entries(/** @type {Record<string, import('../../../src/errors.js').ProblemKind>} */ (catalogue));
  const rows = kinds.map(([name, { status, title, description, retryAfter }]) => {
    const retry = retryAfter === undefined ? '' : ` ${code(`Retry-After: ${retryAfter}`)}.`;
    return [String(status), code(`urn:problem:${name}`), `${title}. ${withCode(description)}${retry}`];
  });
  rows.sort(([one], [other]) => Number(one) - Number(other));
  return table(['status', '`type`', 'meaning, and what to do'], rows);
}

/**
 * Returns the operations in the order of the document's tags.
 *
 * @typedef {{ operationId: string, summary: string, tags: string[] }} Operation
 * @param {{ paths: Record<string, Record<string, Operation>>, tags: { name: string }[] }} document
 */
function operationsTable({ paths, tags }) {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, route: `${method.toUpperCase()} ${path}` })),
  );
  const rows = tags.flatMap(({ name }) =>
    operations
      .filter((operation) => operation.tags.includes(name))
      .map(({ route, operationId, summary }) => [code(route), code(operationId), summary]),
  );
  return table(['operation', 'operation id', 'what it does'], rows);
}

/** The commands are the scripts of package.json that run a file of dist/cli; `--help` says the rest. */
async function commandsTable() {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const rows = Object.entries(scripts).flatMap(([name, script]) => {
    const [, file] = /^node .*\b(dist\/cli\/[\w-]+\.js)$/.exec(String(script)) ?? [];
    return file === undefined ? [] : [commandRow(name, file)];
  });
  return table(['command', 'file in the image', 'what it does', 'options'], await Promise.all(rows));
}

/** @param {string} name @param {string} file */
async function commandRow(name, file) {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL(file, root)), '--help']);
  const options = [...stdout.matchAll(/^ {2}(--[\w-]+(?: [A-Z]+)?) {2,}/gm)].map(([, option]) => code(option));
  const purpose = stdout.split('\n').find((line) => line !== '' && !line.startsWith('Usage:')) ?? '';
  return [code(`npm run ${name}`), code(file), withCode(purpose), options.join(', ')];
}

/**
 * @typedef {{ labels: Record<string, unknown> }} Value
 * @typedef {{ name: string, help: string, type: string, values: Value[] }} Reading
 * @typedef {{ name: string, labelNames?: string[], get: () => Promise<Reading> }} Metric
 */

/**
 * Builds the service on a PostgreSQL that does not answer, as all metrics are registered there without one, and reads the
 * OpenAPI document and the metrics.
 */
async function inspectService() {
  /** @type {Metric[]} */
  const registered = [];
  const { registerMetric } = Registry.prototype;
  Registry.prototype.registerMetric = function (metric) {
    registered.push(/** @type {Metric} */ (/** @type {unknown} */ (metric)));
    registerMetric.call(this, metric);
  };
  const database = openPostgres({
    url: 'postgresql://127.0.0.1:1/none',
    poolSize: 1,
    statementTimeout: 1000,
    preparedStatements: true,
  });
  const app = await buildApp(parseConfig({}), { database });
  const document = (await app.inject('/openapi.json')).json();
  // One request and one batch, so that their histograms have series.
  await app.inject('/api/checkout-sessions/cs_test_1');
  const metrics = await Promise.all(
    registered
      .filter(({ name }) => !/^(nodejs|process)_/.test(name))
      .map(async (metric) => ({ ...(await metric.get()), labelNames: metric.labelNames })),
  );
  await app.close();
  await database.close();
  return { document, metrics };
}

/** @param {(Reading & { labelNames: string[] | undefined })[]} metrics */
function metricsTable(metrics) {
  const rows = metrics.map(({ name, help, type, values, labelNames = [] }) => {
    const observed = values.flatMap(({ labels }) => Object.keys(labels)).filter((label) => label !== 'le');
    const labels = [...new Set([...labelNames, ...observed])].map(code).join(', ');
    return [code(name), type, labels, help];
  });
  rows.sort(([one = ''], [other = '']) => one.localeCompare(other));
  return table(['metric', 'type', 'labels', 'meaning'], rows);
}
