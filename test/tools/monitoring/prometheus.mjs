/** A Prometheus of the tool's own: the configuration of `monitoring/` with another target, key and interval. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { monitoringPath, prometheusConfig } from '../../support/monitoring.mjs';
import { endAtExit, endChild, isRunning } from '../lib/child.mjs';
import { freePort, untilReady } from '../lib/network.mjs';

/** Seconds between scrapes. In production there are fifteen. */
export const scrapeInterval = 1;

/**
 * @typedef {{ metric: Record<string, string>, values: [time: number, value: string][] }} Series
 * @typedef {Awaited<ReturnType<typeof startPrometheus>>} Prometheus
 */

/**
 * Writes the configuration for a service.
 *
 * @param {string} directory @param {import('../lib/service.mjs').Service} service
 * @returns {Promise<string>} the path of the configuration
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

/**
 * Starts Prometheus and waits until it is ready.
 *
 * @param {string} directory @param {string} config path of the configuration
 */
export async function startPrometheus(directory, config) {
  const address = `127.0.0.1:${await freePort()}`;
  const storage = `--storage.tsdb.path=${join(directory, 'data')}`;
  const args = [`--config.file=${config}`, storage, `--web.listen-address=${address}`, '--log.level=error'];
  const child = endAtExit(spawn('prometheus', args, { stdio: ['ignore', 'inherit', 'inherit'] }));
  await untilReady(`http://${address}/-/ready`, () => isRunning(child));

  /** @param {string} path @param {Record<string, string>} [parameters] */
  async function query(path, parameters = {}) {
    const response = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { error, data } = /** @type {{ error?: string, data: any }} */ (await response.json());
    if (error) throw new Error(error);
    return data;
  }

  return {
    /**
     * Returns the values of an expression at each second of a period.
     *
     * @param {string} expression @param {number} start @param {number} end @returns {Promise<Series[]>}
     */
    range: async (expression, start, end) =>
      (await query('query_range', { query: expression, start: String(start), end: String(end), step: '1' })).result,

    /** Returns the present value of an expression. @param {string} expression @returns {Promise<unknown[]>} */
    now: async (expression) => (await query('query', { query: expression })).result,

    /**
     * Returns the series that a selector has found since the start, including series that have ended.
     *
     * @param {string} selector @param {number} start @returns {Promise<Record<string, string>[]>}
     */
    series: (selector, start) => query('series', { 'match[]': selector, start: String(start) }),

    /** Returns the values of a label. @param {string} label @param {string} selector @returns {Promise<string[]>} */
    labels: (label, selector) => query(`label/${label}/values`, { 'match[]': selector }),

    /** Returns the errors in the last evaluation of the rules. @returns {Promise<string[]>} */
    async ruleErrors() {
      const { groups } = await query('rules');
      const rules = groups.flatMap((/** @type {{ rules: object[] }} */ group) => group.rules);
      if (rules.length === 0) return ['no rule is loaded'];
      return rules
        .filter((/** @type {{ health: string }} */ { health }) => health !== 'ok')
        .map((/** @type {{ name: string, lastError?: string }} */ rule) => `${rule.name}: ${rule.lastError}`);
    },

    stop: () => endChild(child),
  };
}
