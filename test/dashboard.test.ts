import { expect, test } from 'vitest';
import { onPostgres } from './support/database.js';
import { alerts, bareNamesOf, dashboard, metricsOf, selectorsOf } from './support/monitoring.mjs';
import { startService } from './support/service.js';

/** Checks the dashboard without Grafana. `npm run monitoring` runs its queries against Prometheus. */

const { api } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: 'whsec_of_the_dashboard' } });
const { text } = await api.get('/metrics').expect(200);
const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type]) => ({ name, type }));

const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** Returns the metric of a series. A histogram has three series. */
const metricOf = (name: string) => name.replace(/_(bucket|count|sum)$/, '');

test('the dashboard has more than 20 panels with unique ids', () => {
  expect(panels.length).toBeGreaterThan(20);
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
});

test.each(panels)('the panel "$title" has a description and uses the chosen data source', (panel) => {
  expect(panel.title).toMatch(/\S/);
  expect(panel.description).toMatch(/\.$/);
  expect(panel.targets?.length).toBeGreaterThan(0);
  for (const { datasource } of [panel, ...(panel.targets ?? [])]) expect(datasource?.uid).toBe('$' + '{datasource}');
});

test('no panel overlaps another or crosses the right edge', () => {
  const taken = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.has(`${x} ${y}`), title).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
  }
});

test.each(queries)('the query %s selects the chosen job', (expression) => {
  expect(metricsOf(expression)).not.toEqual([]);
  expect(bareNamesOf(expression)).toEqual([]);
  for (const selector of selectorsOf(expression)) {
    // The ALERTS series has no job label.
    if (!selector.startsWith('ALERTS')) expect(selector).toContain('{job="$job"');
  }
});

test('every metric in the dashboard is one the service exports', () => {
  const served = types.map(({ name }) => name);
  const isKnown = (name: string) =>
    // Prometheus adds `up` and `ALERTS`. The embedded database has no pool.
    ['up', 'ALERTS'].includes(name) ||
    served.includes(name) ||
    served.includes(metricOf(name)) ||
    (!onPostgres && /^database_(pool|worker)_/.test(name));
  expect(queries.flatMap(metricsOf).filter((name) => !isKnown(name))).toEqual([]);
});

test('the dashboard shows every metric the service defines', () => {
  const shown = queries.flatMap(metricsOf).map(metricOf);
  const ours = types.map(({ name }) => name).filter((name) => !/^(nodejs|process)_/.test(name));
  expect(ours.length).toBeGreaterThan(10);
  expect(ours.filter((name) => !shown.includes(metricOf(name)))).toEqual([]);
});

test('the alert table of the dashboard matches every alert', () => {
  const [, pattern = ''] =
    /^ALERTS\{alertname=~"([^"]+)"/.exec(queries.find((one) => one.startsWith('ALERTS')) ?? '') ?? [];
  for (const { alert } of alerts) expect(alert).toMatch(new RegExp(`^(${pattern})$`));
});
