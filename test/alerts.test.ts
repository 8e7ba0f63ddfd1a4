import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { onPostgres } from './support/database.js';
import { startService } from './support/service.js';

/** What can be known of the alerts without Prometheus; its own tool runs them against series, in .ci/run. */

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const { groups } = parse(read('monitoring/alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const { api } = await startService();

/** The metrics in an expression: the words that are no label, function, keyword or duration. */
function metricsOf(expression: string): string[] {
  const bare = expression.replaceAll(/\{[^}]*\}|\[[^\]]*\]|\b(by|on|without) \([^)]*\)/g, ' ');
  const words = bare.match(/\b[a-z_][a-z_0-9]*\b(?! *\()/g) ?? [];
  return words.filter((word) => !['and', 'or', 'unless'].includes(word));
}

test('the parser of expressions finds metrics alone', () => {
  const expression = 'sum by (le) (rate(a_total{b="c"}[5m])) > 0.5 * 3 and absent(d == 1) unless on (x) min(e_2)';
  expect(metricsOf(expression)).toEqual(['a_total', 'd', 'e_2']);
});

test('every alert has a name of its own, a severity, a summary and what to do', () => {
  expect(rules.length).toBeGreaterThan(10);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { labels, annotations } of rules) {
    expect(['critical', 'warning']).toContain(labels.severity);
    expect(annotations.summary).toMatch(/\.$/);
    expect(annotations.description).toMatch(/\.$/);
  }
});

test('every alert asks for metrics that the service has', async () => {
  const { text } = await api.get('/metrics').expect(200);
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  const served = types.flatMap(([, name = '', type]) =>
    type === 'histogram' ? ['bucket', 'count', 'sum'].map((part) => `${name}_${part}`) : name,
  );
  // The embedded database has no pool; up is Prometheus's own.
  const isKnown = (name: string) =>
    name === 'up' || served.includes(name) || (!onPostgres && name.startsWith('database_pool_'));
  for (const { alert, expr } of rules) {
    const names = metricsOf(expr);
    expect(names, alert).not.toEqual([]);
    expect(
      names.filter((name) => !isKnown(name)),
      alert,
    ).toEqual([]);
  }
});

test('every alert is raised by a test of promtool', () => {
  const tested = read('monitoring/alerts.test.yaml');
  expect(rules.map(({ alert }) => alert).filter((name) => !tested.includes(`alertname="${name}"`))).toEqual([]);
});
