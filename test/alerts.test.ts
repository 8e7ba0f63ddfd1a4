import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { onPostgres } from './support/database.js';
import { alerts, alertTests, bareNamesOf, dashboard, metricsOf, selectorsOf } from './support/monitoring.mjs';
import { startService } from './support/service.js';

/** What can be known of the alerts without Prometheus; `npm run monitoring` runs them in one, and against series. */

const { api } = await startService();
const page = readFileSync(new URL('../docs/monitoring.md', import.meta.url), 'utf8');
const runbook = page.slice(page.indexOf('\n## Runbook\n'));

/** The metrics that the service has, a histogram by its parts. */
async function servedMetrics(): Promise<string[]> {
  const { text } = await api.get('/metrics').expect(200);
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? ['bucket', 'count', 'sum'].map((part) => `${name}_${part}`) : name,
  );
}

test('the parser of expressions finds metrics, and those without labels', () => {
  const expression = 'sum by (le) (rate(a_total{b="c"}[5m])) > 0.5 * 3 and absent(d == 1) unless on (x) min(e_2{})';
  expect(metricsOf(expression)).toEqual(['a_total', 'e_2']);
  expect(bareNamesOf(expression)).toEqual(['d']);
});

test('every alert has a name of its own', () => {
  expect(alerts.length).toBeGreaterThan(10);
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
});

test.each(alerts)('$alert has a severity, a summary, what to do and a place in the runbook', ({ alert, ...rule }) => {
  const { labels, annotations } = rule;
  expect(['critical', 'warning']).toContain(labels.severity);
  expect(annotations.summary).toMatch(/\.$/);
  expect(annotations.description).toMatch(/\.$/);
  expect(annotations.runbook).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
});

test('the runbook has a section for each alert, in their order, and no other', () => {
  const headings = [...runbook.matchAll(/^### (\S+)$/gm)].map(([, heading]) => heading);
  expect(headings.length).toBeGreaterThan(10);
  expect(headings).toEqual(alerts.map(({ alert }) => alert));
});

test.each(alerts)('the section of $alert says what it means, what to look at and what to do', ({ alert, labels }) => {
  const [, section = ''] = new RegExp(`^### ${alert}\n(.*?)(?=^### |$(?![^]))`, 'ms').exec(runbook) ?? [];
  expect(section).toContain(`\n_${labels.severity}._ `);
  for (const part of ['**Look at**', '**Do**']) expect(section).toContain(part);
});

test('the runbook names panels that the dashboard has', () => {
  const prose = runbook.replaceAll(/```.*?```|`[^`]*`/gs, '');
  const named = [...prose.matchAll(/\b_([^_]+)_(?!\w)/g)].map(([, name]) => name?.replaceAll(/\s+/g, ' '));
  const panels = named.filter((name) => !['critical.', 'warning.'].includes(name ?? ''));
  expect(panels.length).toBeGreaterThan(10);
  const titles = dashboard.panels.map(({ title }) => title);
  expect(panels.filter((name) => !titles.includes(name ?? ''))).toEqual([]);
});

test.each(alerts)('$alert asks for metrics that the service has, of its job alone', async ({ expr }) => {
  // Prometheus has `up` itself. The embedded database has no pool.
  const known = ['up', ...(await servedMetrics())];
  const isKnown = (name: string) => known.includes(name) || (!onPostgres && name.startsWith('database_pool_'));
  expect(metricsOf(expr)).not.toEqual([]);
  expect(metricsOf(expr).filter((name) => !isKnown(name))).toEqual([]);
  expect(bareNamesOf(expr)).toEqual([]);
  for (const selector of selectorsOf(expr)) expect(selector).toContain('{job="checkout-sessions"');
});

/** Whether a test of promtool expects an alert. */
const fires = ({ promql_expr_test }: (typeof alertTests)[number], alert: string) =>
  promql_expr_test.some(({ exp_samples }) => exp_samples.some(({ labels }) => labels.includes(`alertname="${alert}"`)));

test('every test of promtool looks at all alerts', () => {
  const expressions = alertTests.flatMap(({ promql_expr_test }) => promql_expr_test.map(({ expr }) => expr));
  const all = ['count(ALERTS)', 'count by (alertname) (ALERTS{alertstate="firing"})'];
  expect(expressions.filter((expression) => !all.includes(expression))).toEqual([]);
});

test.each(alerts)('$alert fires in a test of promtool, and in another is silent on series of its own', (rule) => {
  const { alert, expr } = rule;
  const hasItsSeries = ({ input_series }: (typeof alertTests)[number]) =>
    metricsOf(expr).every((name) => input_series.some(({ series }) => series.startsWith(`${name}{job="checkout-se`)));
  expect(alertTests.filter((one) => fires(one, alert))).not.toEqual([]);
  expect(alertTests.filter((one) => hasItsSeries(one) && !fires(one, alert))).not.toEqual([]);
});
