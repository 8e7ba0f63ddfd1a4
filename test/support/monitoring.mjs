/** Reads the files of `monitoring/`, for the tests and for the run against a real Prometheus. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** The path of a file or folder in `monitoring/`. @param {string} name */
export const monitoringPath = (name) => fileURLToPath(new URL(`../../monitoring/${name}`, import.meta.url));

const read = (/** @type {string} */ name) => readFileSync(monitoringPath(name), 'utf8');

/**
 * @typedef {object} Alert
 * @property {string} alert its name
 * @property {string} expr
 * @property {{ severity: string }} labels
 * @property {{ summary: string, description: string, runbook: string }} annotations
 *
 * @typedef {object} AlertTest
 * @property {string} name
 * @property {{ series: string }[]} input_series
 * @property {{ expr: string, exp_samples: { labels: string }[] }[]} promql_expr_test
 *
 * @typedef {object} Panel
 * @property {number} id
 * @property {string} type
 * @property {string} title
 * @property {string} [description]
 * @property {{ x: number, y: number, w: number, h: number }} gridPos
 * @property {{ uid: string }} [datasource]
 * @property {{ expr: string, datasource: { uid: string } }[]} [targets]
 *
 * @typedef {{ name: string, type: string, definition?: string }} Variable
 * @typedef {{ title: string, uid: string, panels: Panel[], templating: { list: Variable[] } }} Dashboard
 */

/** @type {Alert[]} */
export const alerts = parse(read('alerts.yaml')).groups.flatMap((/** @type {{ rules: Alert[] }} */ { rules }) => rules);

/** The tests of promtool. @type {AlertTest[]} */
export const alertTests = parse(read('alerts.test.yaml')).tests;

/** Returns the parsed configuration of Prometheus. */
export const prometheusConfig = () => parse(read('prometheus.yaml'));

/** @type {Dashboard} */
export const dashboard = JSON.parse(read('dashboard.json'));

/** Every query of the dashboard, with the title of its panel. */
export const dashboardQueries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);

/**
 * Returns the series selectors of an expression as written, such as `name{label="value"}`.
 *
 * @param {string} expression every metric in it must have labels, as all of this service's do
 */
export function selectorsOf(expression) {
  return expression.match(/\b[a-zA-Z_:][\w:]*\{[^}]*\}/g) ?? [];
}

/** Returns the names of the metrics in an expression, each once. @param {string} expression */
export function metricsOf(expression) {
  return [...new Set(selectorsOf(expression).map((selector) => selector.slice(0, selector.indexOf('{'))))];
}

/**
 * Returns the names in an expression without labels. Skips functions, keywords, durations, and the labels of `by`, `on`
 * and `without`.
 *
 * @param {string} expression
 */
export function bareNamesOf(expression) {
  const bare = expression.replaceAll(/[\w:]+\{[^}]*\}|\[[^\]]*\]|\b(by|on|without) \([^)]*\)/g, ' ');
  const words = bare.match(/\b[a-z_][a-z_0-9]*\b(?! *\()/g) ?? [];
  return words.filter((word) => !['and', 'or', 'unless'].includes(word));
}
