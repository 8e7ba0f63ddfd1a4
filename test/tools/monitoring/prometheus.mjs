/** A Prometheus of the run's own: the configuration of `monitoring/`, with another target, key and interval. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { stringify } from 'yaml';
import { monitoringPath, prometheusConfig } from '../../support/monitoring.mjs';
import { freePort } from '../lib/service.mjs';

/** Seconds between scrapes: in production there are fifteen. */
export const scrapeInterval = 1;
/** Milliseconds that a start may take. */
const patience = 30_000;

/**
 * @typedef {{ metric: Record<string, string>, values: [time: number, value: string][] }} Series
 * @typedef {Awaited<ReturnType<typeof startPrometheus>>} Prometheus
 */

/**
 * Writes the configuration for a service.
 *
 * @param {string} directory @param {{ url: string, environment: { READ_KEY: string } }} service
 * @returns {Promise<string>} its path
 */
export async function writeConfig(directory, { url, environment }) {
  const { scrape_configs, ...config } = prometheusConfig();
  const keyPath = join(directory, 'read-key');
  await writeFile(keyPath, environment.READ_KEY);
  const [job] = scrape_configs;
  const path = join(directory, 'prometheus.yaml');
  const interval = `${scrapeInterval}s`;
  await writeFile(
    path,
    stringify({
      ...config,
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: config.rule_files.map(monitoringPath),
      scrape_configs: [
        {
          ...job,
          authorization: { credentials_file: keyPath },
          static_configs: [{ targets: [new URL(url).host] }],
        },
      ],
    }),
  );
  return path;
}

/** Starts Prometheus, and waits until it answers. @param {string} directory @param {string} config its path */
export async function startPrometheus(directory, config) {
  const address = `127.0.0.1:${await freePort()}`;
  const storage = `--storage.tsdb.path=${join(directory, 'data')}`;
  const args = [`--config.file=${config}`, storage, `--web.listen-address=${address}`, '--log.level=error'];
  const child = spawn('prometheus', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const kill = () => child.kill('SIGKILL');
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  process.once('exit', kill);

  /** @param {string} path @param {Record<string, string>} [parameters] */
  async function ask(path, parameters = {}) {
    const response = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { error, data } = /** @type {{ error?: string, data: any }} */ (await response.json());
    if (error) throw new Error(error);
    return data;
  }

  const end = performance.now() + patience;
  while (!(await fetch(`http://${address}/-/ready`).catch(() => undefined))?.ok) {
    if (!isRunning() || performance.now() > end) throw new Error('Prometheus does not start');
    await setTimeout(50);
  }

  return {
    /**
     * Returns what an expression is at each second of a time.
     *
     * @param {string} query @param {number} start @param {number} end @returns {Promise<Series[]>}
     */
    range: async (query, start, end) =>
      (await ask('query_range', { query, start: String(start), end: String(end), step: '1' })).result,

    /** Returns what an expression is now. @param {string} query @returns {Promise<unknown[]>} */
    now: async (query) => (await ask('query', { query })).result,

    /**
     * Returns the series that a selector finds, with those that have ended since the start.
     *
     * @param {string} selector @param {number} start @returns {Promise<Record<string, string>[]>}
     */
    series: (selector, start) => ask('series', { 'match[]': selector, start: String(start) }),

    /** Returns the values of a label. @param {string} label @param {string} selector @returns {Promise<string[]>} */
    labels: (label, selector) => ask(`label/${label}/values`, { 'match[]': selector }),

    /** Returns the faults of the rules at their last evaluation. @returns {Promise<string[]>} */
    async ruleFaults() {
      const { groups } = await ask('rules');
      const rules = groups.flatMap((/** @type {{ rules: object[] }} */ group) => group.rules);
      if (rules.length === 0) return ['no rule is loaded'];
      return rules
        .filter((/** @type {{ health: string }} */ { health }) => health !== 'ok')
        .map((/** @type {{ name: string, lastError?: string }} */ rule) => `${rule.name}: ${rule.lastError}`);
    },

    async stop() {
      process.off('exit', kill);
      if (!isRunning()) return;
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}
