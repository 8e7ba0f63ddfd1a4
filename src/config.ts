import { isIP } from 'node:net';
import { envSchema } from 'env-schema';
import { type Static, Type } from 'typebox';
import { faultOf, isNetwork, isOrigin, misspeltVariables, stripeFaults } from './config-checks.js';
import { isKeyEntry, readSecretFile, weakSecrets } from './config-secrets.js';
import { OperatorError } from './errors.js';

/** The configuration: one schema for the environment, parsed once into a frozen value. */

/** Declares a comma-separated list. Empty entries are dropped. */
function list(description: string) {
  return Type.Unsafe<string[]>({ type: 'string', default: '', separator: ',', description });
}

/** Milliseconds of a day. Node's timers hold at most 24.8 days: longer ones fire at once. */
const day = 24 * 3_600_000;

export const environment = Type.Object({
  HOST: Type.String({
    default: '127.0.0.1',
    description: 'Address to listen on. Without API keys only a loopback address is allowed.',
  }),
  PORT: Type.Integer({
    default: 3000,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on. 0 takes any free port.',
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description:
        '`postgresql://…`, PostgreSQL 15 or later. Without it the service uses the embedded database in DATA_DIR.',
    }),
  ),
  DATA_DIR: Type.String({
    default: './data',
    minLength: 1,
    description: 'Folder of the embedded database. One process at a time can open it.',
  }),
  DATABASE_DIRECT_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description: '`postgresql://…` for migrations: past a pooler, or as another role. DATABASE_URL when absent.',
    }),
  ),
  DATABASE_POOL_SIZE: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 1000,
    description: 'Maximum number of connections to the database.',
  }),
  DATABASE_STATEMENT_TIMEOUT_MS: Type.Integer({
    default: 5000,
    minimum: 1,
    maximum: day,
    description:
      'Milliseconds that a statement may take, or a request may wait for a connection. Migrations have no such limit.',
  }),
  DATABASE_START_TIMEOUT_MS: Type.Integer({
    default: 30_000,
    minimum: 0,
    maximum: day,
    description: 'Milliseconds that a start waits for a database that it cannot reach yet.',
  }),
  DATABASE_PREPARED_STATEMENTS: Type.Boolean({
    default: true,
    description: '`false` behind a pooler in transaction mode.',
  }),
  MIGRATE_ON_START: Type.Boolean({ default: true, description: '`false` to run `npm run migrate` yourself.' }),
  API_KEYS: list(
    'Keys with full access, comma-separated. A name for the log may stand before a key: `KEY`, `shop KEY`.',
  ),
  API_READ_KEYS: list('Keys that can only read, comma-separated.'),
  ALLOW_ANONYMOUS: Type.Boolean({
    default: false,
    description: '`true` to serve every client without a key. Use it only behind a proxy that authenticates.',
  }),
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://[^?#]+$',
      description:
        '`https://…`, the base URL of `next`, `previous` and `Location`. When absent, the host of the request; for a request without one, as in HTTP/1.0, the address that it reached.',
    }),
  ),
  TRUST_PROXY: list(
    'Addresses or networks of proxies, comma-separated. The service believes their forwarded headers and `X-Request-Id`.',
  ),
  CORS_ORIGINS: list(
    'Origins whose web pages may use the API, comma-separated: `https://shop.example.com`. `*` for all.',
  ),
  RATE_LIMIT_PER_MINUTE: Type.Integer({
    default: 0,
    minimum: 0,
    description:
      'Requests per minute for each key, or for each address without a key. 0 for no limit. Each process counts by itself.',
  }),
  REQUEST_TIMEOUT_MS: Type.Integer({
    default: 30_000,
    minimum: 1,
    maximum: day,
    description: 'Milliseconds that a request may take to arrive. Its headers must arrive within 10 seconds.',
  }),
  MAX_CONNECTIONS: Type.Integer({ default: 10_000, minimum: 1, description: 'Maximum number of client connections.' }),
  MAX_EVENT_LOOP_DELAY_MS: Type.Integer({
    default: 1000,
    minimum: 0,
    description:
      'Average lag of the event loop over 2 seconds, in milliseconds, above which requests get 503 `overloaded`. 0 for never. Ignored on the embedded database.',
  }),
  SHUTDOWN_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 1,
    maximum: day,
    description: 'Milliseconds that requests in flight get to finish on SIGTERM.',
  }),
  SHUTDOWN_DRAIN_MS: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: day,
    description:
      'Milliseconds between SIGTERM and the shutdown. Requests are still served, and `/health/ready` answers 503. Set it to the time that your load balancer needs to notice.',
  }),
  STRIPE_WEBHOOK_SECRETS: list(
    'Signing secrets of the webhook endpoints, `whsec_…`, comma-separated. Without one the webhook answers 503.',
  ),
  STRIPE_WEBHOOK_TOLERANCE: Type.Integer({
    default: 300,
    minimum: 1,
    description: 'Maximum difference between the time of a signature and now, in seconds.',
  }),
  STRIPE_API_KEYS: list(
    'Keys of the Stripe API, one live and one test, comma-separated: for thin events, refresh, backfill and catch-up. Restricted keys that read Checkout Sessions and Events are enough. Organization keys, `sk_org_…`, work too.',
  ),
  STRIPE_API_BASE: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#]+/?$',
      description: "`https://…`, the base URL of the Stripe API. Stripe's own when absent.",
    }),
  ),
  STRIPE_FETCH_LINE_ITEMS: Type.Boolean({
    default: false,
    description: '`true` to fetch the line items of a session once it completes.',
  }),
  STRIPE_LIVEMODE: Type.String({
    default: 'both',
    enum: ['live', 'test', 'both'],
    description:
      'Mode of the sessions to take from Stripe: `live`, `test` or `both`. The service ignores the other mode.',
  }),
  STRIPE_ACCOUNT_ID: Type.Optional(
    Type.String({ pattern: '^acct_', description: '`acct_…`, the owner of sessions that come without an account.' }),
  ),
  STRIPE_EVENT_RETENTION_DAYS: Type.Integer({
    default: 90,
    minimum: 1,
    description:
      'Days that the ledger keeps an event. The failure of a delayed payment stays while its session is unpaid.',
  }),
  CHANGE_RETENTION_DAYS: Type.Integer({
    default: 30,
    minimum: 1,
    description: 'Days that the change feed keeps a change.',
  }),
  STRIPE_READ_THROUGH: Type.Optional(
    Type.String({
      enum: ['open', 'missing', 'off'],
      description:
        'Sessions that reads under `/v1` fetch from Stripe first: `open` for unknown or unfinished sessions, `missing` for unknown ones, `off` for none. When absent, `open` with STRIPE_API_KEYS and `off` without.',
    }),
  ),
  CATCH_UP_INTERVAL_MINUTES: Type.Integer({
    default: 0,
    minimum: 0,
    description: 'Minutes between catch-ups inside the service. 0 for none. It needs STRIPE_API_KEYS.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      pattern: '^https?://',
      description: '`http://…`, the OpenTelemetry collector for traces. Without it there are no traces.',
    }),
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: Type.Optional(
    Type.String({
      pattern: '^https?://',
      description: '`http://…`, a collector for traces only. It overrides OTEL_EXPORTER_OTLP_ENDPOINT.',
    }),
  ),
  OTEL_SDK_DISABLED: Type.String({ default: 'false', description: '`true` to turn traces off, whatever else is set.' }),
  OTEL_SERVICE_NAME: Type.String({
    default: 'checkout-session-service',
    description: 'Name of the service in traces.',
  }),
  OTEL_RESOURCE_ATTRIBUTES: list(
    'Attributes of the service in traces, comma-separated: `deployment.environment=test`.',
  ),
  CONSOLE: Type.Boolean({ default: true, description: '`false` to turn off the console at `/console`.' }),
  LOG_LEVEL: Type.String({
    default: 'info',
    enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    description: 'Lowest level to log: `fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`.',
  }),
  LOG_CLIENT_ADDRESS: Type.Boolean({
    default: false,
    description:
      "`true` to log the client address of each request. Behind a proxy in TRUST_PROXY it is the address of the proxy's client.",
  }),
  BODY_LIMIT: Type.Integer({
    default: 1_048_576,
    minimum: 1,
    description: 'Maximum size of a request body, in bytes.',
  }),
});

type Environment = Static<typeof environment>;

export type Config = Readonly<Environment>;

/** Variables that can also come from a file, named by the variable with `_FILE` after its name. */
const secrets = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'API_KEYS',
  'API_READ_KEYS',
  'STRIPE_WEBHOOK_SECRETS',
  'STRIPE_API_KEYS',
] as const;

/** The error of an invalid environment. Its message lists every fault. */
export class ConfigError extends OperatorError {
  constructor(readonly faults: readonly string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/**
 * Parses the environment.
 *
 * @throws ConfigError that lists every fault at once.
 */
export function parseConfig(variables: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  // Compose files pass an unset variable as an empty one.
  const set = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''));
  for (const name of secrets) readSecretFile(name, set, faults);
  const config = Object.freeze(parseEach(set, faults));
  faults.push(...contradictions(config));
  if (!isLoopback(config.HOST)) faults.push(...weakSecrets(config));
  // A misspelt name may be the reason for a missing value.
  if (faults.length > 0) throw new ConfigError([...faults, ...nameWarnings(variables)]);
  return config;
}

/** Parses each variable separately, so that a fault in one does not hide the faults of others. */
function parseEach(data: Readonly<Record<string, string | undefined>>, faults: string[]): Environment {
  const entries = Object.entries(environment.properties).map(([name, schema]) => {
    try {
      const one = Type.Object({ [name]: schema });
      const value = envSchema<Record<string, unknown>>({ schema: one, data: { [name]: data[name] }, env: false })[name];
      return [name, Array.isArray(value) ? Object.freeze(value.map((entry) => entry.trim()).filter(Boolean)) : value];
    } catch (error) {
      faults.push(`${name} ${faultOf(error, schema as { description?: string })}`);
      return [name, (schema as { default?: unknown }).default];
    }
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** Returns the faults that the schema of a single variable cannot express. */
function contradictions(config: Environment): string[] {
  const faults: string[] = [];
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL', 'PUBLIC_URL', 'STRIPE_API_BASE'] as const) {
    const url = config[name];
    // The message leaves out the value, which may hold a password.
    if (url !== undefined && !URL.canParse(url)) faults.push(`${name} is not a URL`);
  }
  for (const pair of config.OTEL_RESOURCE_ATTRIBUTES) {
    if (!/^[^=%]+=([^%]|%[0-9a-f]{2})*$/i.test(pair))
      faults.push('OTEL_RESOURCE_ATTRIBUTES must hold pairs: name=value,…');
  }
  for (const entry of config.CORS_ORIGINS) {
    if (entry !== '*' && !isOrigin(entry)) {
      faults.push(
        `CORS_ORIGINS must hold origins without a path, such as https://shop.example.com, or *: ${entry} is neither`,
      );
    }
  }
  for (const entry of config.TRUST_PROXY) {
    if (!isNetwork(entry)) faults.push(`TRUST_PROXY must hold addresses and networks: ${entry} is neither`);
  }
  const keys = [...config.API_KEYS, ...config.API_READ_KEYS];
  if (keys.length > 0 && config.ALLOW_ANONYMOUS) {
    faults.push('ALLOW_ANONYMOUS is true and there are API keys: keep one of the two');
  }
  if (keys.length === 0 && !config.ALLOW_ANONYMOUS && !isLoopback(config.HOST)) {
    faults.push(
      `HOST is ${config.HOST}, which others can reach, and there is no key: set API_KEYS, or ALLOW_ANONYMOUS=true if a proxy in front authenticates`,
    );
  }
  if (keys.length === 0 && !config.ALLOW_ANONYMOUS && config.CORS_ORIGINS.includes('*')) {
    faults.push(
      'CORS_ORIGINS is * and there is no key, so any web page could use the API: list the origins, or set API_KEYS',
    );
  }
  if (!keys.every(isKeyEntry)) {
    faults.push(
      'API_KEYS and API_READ_KEYS take keys of visible ASCII characters. A name of up to 15 letters, digits, - and _ and a space may come before each key',
    );
  }
  faults.push(...stripeFaults(config));
  return faults;
}

/** Returns whether only this machine can reach an address to listen on. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Returns whether the configuration names a collector for traces. */
export function isTraced(config: Config): boolean {
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  // OpenTelemetry's specification ignores the case of booleans.
  return endpoint !== undefined && config.OTEL_SDK_DISABLED.toLowerCase() !== 'true';
}

/** The names of all variables, for the documentation and its tests. */
export const environmentVariables = Object.keys(environment.properties);

/** The names of the variables that hold the path of a secret's file. */
export const secretFileVariables = secrets.map((name) => `${name}_FILE`);

/** Returns a warning for each variable whose name looks like a misspelt name of ours. */
export function nameWarnings(variables: Readonly<Record<string, string | undefined>>): string[] {
  return misspeltVariables(variables, [...environmentVariables, ...secretFileVariables]);
}

/** Returns a warning for each kind of weak secret on loopback. On other addresses `parseConfig` refuses them. */
export function secretWarnings(config: Config): string[] {
  return isLoopback(config.HOST) ? weakSecrets(config) : [];
}
