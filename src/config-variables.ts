import { Type } from 'typebox';

/** The variables of the environment: type, default, limits and meaning. `npm run docs` writes their table from here. */

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
      description:
        '`postgresql://…` for migrations, if they must bypass a pooler or use another role. Default: DATABASE_URL.',
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
        '`https://…`, the base URL of `next`, `previous` and `Location`. Without it the service uses the `Host` header, or the address that the client connected to if there is none.',
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
