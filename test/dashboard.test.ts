import { expect, test } from 'vitest';
import { onPostgres } from './support/database.js';
import { alerts, bareNamesOf, dashboard, metricsOf, selectorsOf } from './support/monitoring.mjs';
import { startService } from './support/service.js';

/** What can be known of the dashboard without Grafana; `npm run monitoring` runs its queries. */

const { api } = await startService({ environment: { STRIPE_WEBHOOK_SECRETS: 'whsec_of_the_dashboard' } });
const { text } = await api.get('/metrics').expect(200);
const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type]) => ({ name, type }));

const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** The metric that a series is of: a histogram has three kinds. */
const metricOf = (name: string) => name.replace(/_(bucket|count|sum)$/, '');

test('the dashboard has panels, each with an id of its own', () => {
  expect(panels.length).toBeGreaterThan(20);
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
});

test.each(panels)('$title says what it shows, and asks the data source that is chosen', (panel) => {
  expect(panel.title).toMatch(/\S/);
  expect(panel.description).toMatch(/\.$/);
  expect(panel.targets?.length).toBeGreaterThan(0);
  for (const { datasource } of [panel, ...(panel.targets ?? [])]) expect(datasource?.uid).toBe('$' + '{datasource}');
});

test('no panel lies on another or beyond the edge', () => {
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

test.each(queries)('%s is of the chosen job', (expression) => {
  expect(metricsOf(expression)).not.toEqual([]);
  expect(bareNamesOf(expression)).toEqual([]);
  for (const selector of selectorsOf(expression)) {
    // Alerts keep few labels of what they are about.
    if (!selector.startsWith('ALERTS')) expect(selector).toContain('{job="$job"');
  }
});

test('the dashboard asks for metrics that the service has', () => {
  const served = types.map(({ name }) => name);
  const isKnown = (name: string) =>
    // These are Prometheus's own. The embedded database has no pool.
    ['up', 'ALERTS'].includes(name) ||
    served.includes(name) ||
    served.includes(metricOf(name)) ||
    (!onPostgres && /^database_(pool|worker)_/.test(name));
  expect(queries.flatMap(metricsOf).filter((name) => !isKnown(name))).toEqual([]);
});

test('the dashboard shows every metric of ours', () => {
  const shown = queries.flatMap(metricsOf).map(metricOf);
  const ours = types.map(({ name }) => name).filter((name) => !/^(nodejs|process)_/.test(name));
  expect(ours.length).toBeGreaterThan(10);
  expect(ours.filter((name) => !shown.includes(metricOf(name)))).toEqual([]);
});

test('the table of alerts has room for every alert', () => {
  const [, pattern = ''] =
    /^ALERTS\{alertname=~"([^"]+)"/.exec(queries.find((one) => one.startsWith('ALERTS')) ?? '') ?? [];
  for (const { alert } of alerts) expect(alert).toMatch(new RegExp(`^(${pattern})$`));
});
