/** Medians, ratios and targets, from the results of the measurements. */
import { cpus, totalmem } from 'node:os';
import { connected } from '../lib/database.mjs';
import { logged, unlogged } from './rounds.mjs';
import { scenarioOf } from './scenarios.mjs';
import { betweenScenarios, depthAtMost, growthAtMost, loggedAtLeast, memoryAtMost, targets } from './targets.mjs';

/**
 * @typedef {import('./rounds.mjs').Result} Result
 * @typedef {{ scenario: string, connections: number, contender: string, rate: number, p50: number, p99: number, rss: number, ratio: number | undefined }} Row
 *   medians over the rounds; `ratio`: the reference's rate divided by this one
 * @typedef {{ target: string, figure: number, reached: boolean }} Verdict
 */

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

/**
 * Returns the median over the rounds of one rate divided by another of the same round, as a disturbance affects both.
 *
 * @param {readonly Result[]} above @param {readonly Result[]} below
 */
function ratioOf(above, below) {
  const ratios = above.flatMap(({ round, rate }) => {
    const partner = below.find((result) => result.round === round);
    return partner ? [rate / partner.rate] : [];
  });
  return ratios.length > 0 ? median(ratios) : undefined;
}

/** @param {readonly Result[]} results @param {string} scenario @param {number} connections @param {string} contender */
const select = (results, scenario, connections, contender) =>
  results.filter(
    (result) => result.scenario === scenario && result.connections === connections && result.contender === contender,
  );

const keysOf = (/** @type {readonly Result[]} */ results) => [
  ...new Map(
    results.map(({ scenario, connections, contender }) => [
      `${scenario} ${connections} ${contender}`,
      { scenario, connections, contender },
    ]),
  ).values(),
];

/**
 * @param {readonly Result[]} results @param {string} reference the contender in the numerator of the ratios
 * @returns {Row[]}
 */
function rowsOf(results, reference) {
  return keysOf(results).map(({ scenario, connections, contender }) => {
    const own = select(results, scenario, connections, contender);
    return {
      ...{ scenario, connections, contender },
      rate: median(own.map(({ rate }) => rate)),
      p50: median(own.map(({ p50 }) => p50)),
      p99: median(own.map(({ p99 }) => p99)),
      rss: Math.max(...own.map(({ rss }) => rss ?? Number.NaN)),
      ratio: contender === reference ? undefined : ratioOf(select(results, scenario, connections, reference), own),
    };
  });
}

/** @param {readonly Result[]} results @returns {Verdict[]} */
function verdictsOf(results) {
  const against = targets.flatMap(({ scenario, connections, against: contender, atLeast }) =>
    connections.flatMap((count) => {
      const figure = ratioOf(select(results, scenario, count, 'ours'), select(results, scenario, count, contender));
      const target = `${scenarioOf(scenario).title}, ${count} connections: at least ${atLeast} of ${contender}`;
      return figure === undefined ? [] : [{ target, figure, reached: figure >= atLeast }];
    }),
  );
  const counts = [...new Set(results.map(({ connections }) => connections))];
  const depth = counts.flatMap((count) => {
    const figure = ratioOf(select(results, 'page1', count, 'ours'), select(results, 'deep', count, 'ours'));
    const target = `first pages against deep ones, ${count} connections: at most ${depthAtMost}`;
    return figure === undefined ? [] : [{ target, figure, reached: figure <= depthAtMost }];
  });
  const between = counts.flatMap((count) =>
    betweenScenarios.flatMap(({ scenario, against: other, atLeast }) => {
      const figure = ratioOf(select(results, scenario, count, 'ours'), select(results, other, count, 'ours'));
      const target = `${scenarioOf(scenario).title}, ${count} connections: at least ${atLeast} of ${scenarioOf(other).title}`;
      return figure === undefined ? [] : [{ target, figure, reached: figure >= atLeast }];
    }),
  );
  return [...against, ...depth, ...between, memoryVerdict(results.filter(({ contender }) => contender === 'ours'))];
}

/** @param {readonly Result[]} results @returns {Verdict} */
function memoryVerdict(results) {
  const figure = Math.max(...results.map(({ rss }) => rss ?? Number.NaN));
  return { target: `megabytes resident under load: under ${memoryAtMost}`, figure, reached: figure < memoryAtMost };
}

/** @param {readonly (readonly string[])[]} lines the first line is the head */
function table(lines) {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const format = (/** @type {readonly string[]} */ line) =>
    line
      .map((cell, column) => (column < 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return `${lines.map(format).join('\n')}\n`;
}

const number = (/** @type {number | undefined} */ value, digits = 2) =>
  value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits);

/** @param {readonly Row[]} rows @param {string} ratio the head of the last column */
function rowsTable(rows, ratio) {
  const head = ['scenario', 'connections', 'contender', 'answers/s', 'p50 ms', 'p99 ms', 'MB', ratio];
  const lines = rows.map((row) => [
    ...[row.scenario, String(row.connections), row.contender, number(row.rate, 0)],
    ...[number(row.p50), number(row.p99), number(row.rss, 0), number(row.ratio)],
  ]);
  return table([head, ...lines]);
}

/** @param {readonly Verdict[]} verdicts */
function verdictsTable(verdicts) {
  const lines = verdicts.map(({ target, figure, reached }) => [
    target,
    number(figure),
    reached ? 'reached' : 'NOT reached',
  ]);
  return table([['target', 'figure', ''], ...lines]);
}

const order = ['ours', 'bare', 'pg', 'prisma'];

/** @param {readonly Result[]} results */
export function report(results) {
  const rows = rowsOf(results, 'ours').sort(
    (one, other) =>
      results.findIndex(({ scenario }) => scenario === one.scenario) -
        results.findIndex(({ scenario }) => scenario === other.scenario) ||
      one.connections - other.connections ||
      order.indexOf(one.contender) - order.indexOf(other.contender),
  );
  const verdicts = verdictsOf(results);
  return { rows, targets: verdicts, results, text: `\n${rowsTable(rows, 'ours / this')}\n${verdictsTable(verdicts)}` };
}

/** @param {readonly Result[]} results in which the contenders are numbers of rows */
export function growthReport(results) {
  const [small = '', large = ''] = [...new Set(results.map(({ contender }) => contender))].sort(
    (one, other) => Number(one) - Number(other),
  );
  const rows = rowsOf(results, small).sort(
    (one, other) =>
      results.findIndex(({ scenario }) => scenario === one.scenario) -
        results.findIndex(({ scenario }) => scenario === other.scenario) ||
      one.connections - other.connections ||
      Number(one.contender) - Number(other.contender),
  );
  const verdicts = rows.flatMap(({ scenario, connections, contender, ratio = Number.NaN }) => {
    const target = `${scenarioOf(scenario).title}, ${connections} connections, ${small} rows against ${large}: at most ${growthAtMost}`;
    return contender === large ? [{ target, figure: ratio, reached: ratio <= growthAtMost }] : [];
  });
  return { rows, targets: verdicts, results, text: `\n${rowsTable(rows, 'small / this')}\n${verdictsTable(verdicts)}` };
}

/** @param {readonly Result[]} results with and without the log of the change feed */
export function feedReport(results) {
  const rows = rowsOf(results, logged);
  const verdicts = rows.flatMap(({ scenario, connections, contender, ratio = Number.NaN }) => {
    const target = `${scenarioOf(scenario).title}, ${connections} connections, with the log: at least ${loggedAtLeast} of without`;
    return contender === unlogged ? [{ target, figure: ratio, reached: ratio >= loggedAtLeast }] : [];
  });
  return {
    rows,
    targets: verdicts,
    results,
    text: `\n${rowsTable(rows, 'logged / this')}\n${verdictsTable(verdicts)}`,
  };
}

/** Returns the versions and settings that the figures depend on. @param {string | undefined} databaseUrl */
export function environmentOf(databaseUrl) {
  return connected(/** @type {string} */ (databaseUrl), async (client) => {
    const { rows } = await client.query(
      `SELECT current_setting('server_version') AS version, current_setting('shared_buffers') AS buffers,
        current_setting('max_wal_size') AS wal`,
    );
    const [{ model } = { model: 'unknown' }] = cpus();
    return {
      node: process.version,
      postgresql: rows[0].version,
      // Growth depends on this most.
      sharedBuffers: rows[0].buffers,
      maxWalSize: rows[0].wal,
      cpu: `${cpus().length} × ${model}`,
      memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    };
  });
}
