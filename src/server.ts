import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import closeWithGrace from 'close-with-grace';
import pino from 'pino';
import { buildApp } from './app.js';
import { type Config, isTraced, nameWarnings, parseConfig, secretWarnings } from './config.js';
import { trialSecret } from './config-secrets.js';
import { type Database, waitUntilReachable } from './database/engine/database.js';
import { migrate, requireMigrations } from './database/engine/migrate.js';
import { openDatabase } from './database/engine/open.js';
import { assertMayRun } from './database/engine/rights.js';
import { operatorMessage } from './database/engine/sqlstate.js';
import { loggable, logSerializers } from './errors.js';
import { terminalFormat } from './plugins/request-log.js';
import { type StripeClient, stripeClients } from './stripe/client.js';
import { startSchedule } from './stripe/schedule.js';
import { version } from './version.js';

/** The process: configuration → database → migrations → app → listen. A signal stops them in reverse order. */

async function createLogger(level: string): Promise<pino.Logger> {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: logSerializers,
  };
  if (!process.stdout.isTTY) return pino(options);
  const { default: pretty } = await import('pino-pretty');
  return pino(options, pretty(terminalFormat));
}

/** Aborts waits of the start when the process must stop. */
const stopping = new AbortController();

async function prepareDatabase(config: Config, database: Database, log: pino.Logger): Promise<void> {
  await waitUntilReachable(database, {
    timeout: config.DATABASE_START_TIMEOUT_MS,
    signal: stopping.signal,
    onUnreachable: (error, pause) =>
      log.warn({ err: loggable(error), again_in_ms: pause }, 'the database cannot be reached yet'),
  });
  await assertMayRun(database.query);
  if (config.MIGRATE_ON_START) {
    const applied = await migrate(database);
    if (applied.length > 0) log.info({ applied }, 'migrated');
    // With DATABASE_DIRECT_URL another role may own the new tables.
    if (applied.length > 0) await assertMayRun(database.query);
    return;
  }
  await requireMigrations(database, 'MIGRATE_ON_START is false');
}

/** Stops one part of the service. After a failure it does not wait for load balancers. */
type StopPart = (afterFailure: boolean) => Promise<unknown>;

/**
 * Stops the parts that have started, the last one first.
 *
 * @throws the error of the first part that could not be stopped, after all others are.
 */
async function stopParts(parts: StopPart[], afterFailure: boolean): Promise<void> {
  const failures: unknown[] = [];
  for (let stop = parts.pop(); stop; stop = parts.pop()) {
    await stop(afterFailure).catch((error) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function start(config: Config, log: pino.Logger): Promise<void> {
  const parts: StopPart[] = [];
  stopWithGrace(config, log, parts);
  try {
    const database = await openDatabase(config, {
      onIdleError: (error) => log.warn({ err: loggable(error) }, 'a database connection failed'),
      onWorkerFailure: (error) =>
        log.error({ err: loggable(error) }, 'a worker of Citus fails: the sessions on it are not served'),
    });
    parts.push(() => database.close());
    await prepareDatabase(config, database, log);
    const tracing = isTraced(config) && (await import('./plugins/tracing.js')).startTracing(config, log);
    if (tracing) parts.push(() => tracing.stop());
    const app = await buildApp(config, { database, logger: log, ...(tracing && { tracing: tracing.plugin }) });
    parts.push(() => app.close());
    const address = await app.listen({ host: config.HOST, port: config.PORT });
    const clients = stripeClients(config);
    const schedule = startSchedule({
      database,
      ingest: app.ingest,
      log,
      clients,
      catchUpInterval: config.CATCH_UP_INTERVAL_MINUTES * 60_000,
      accountId: config.STRIPE_ACCOUNT_ID,
      lineItems: app.lineItems,
      eventRetentionDays: config.STRIPE_EVENT_RETENTION_DAYS,
      changeRetentionDays: config.CHANGE_RETENTION_DAYS,
      onRun: app.countRun,
    });
    parts.push(() => schedule.stop());
    parts.push((afterFailure) => {
      app.drain();
      return setTimeout(afterFailure ? 0 : config.SHUTDOWN_DRAIN_MS);
    });
    // Collect old garbage once the heap has doubled. By default V8 waits until it has grown fourfold, if the machine has the
    // memory. Set the flag after the start: with changed flags V8 rejects the code cache of Node's own modules.
    setFlagsFromString('--heap-growing-percent=100');
    log.info({ version, address, database: database.description, ...featuresOf(config, clients) }, 'listening');
    if (process.stdout.isTTY || process.env.npm_lifecycle_event === 'start') welcome(address, database, config);
  } catch (error) {
    await stopParts(parts, true);
    throw error;
  }
}

/** Returns the features that the configuration turns on, for the log. It holds no secrets. */
function featuresOf(config: Config, clients: readonly StripeClient[]) {
  return {
    api_keys: `${config.API_KEYS.length} full, ${config.API_READ_KEYS.length} read`,
    open_to: openTo(config),
    webhook: config.STRIPE_WEBHOOK_SECRETS.length > 0,
    stripe_keys: clients.map(({ mode }) => mode).join(', ') || 'none',
    livemode: config.STRIPE_LIVEMODE,
    catch_up_minutes: clients.length > 0 ? config.CATCH_UP_INTERVAL_MINUTES : 0,
    traces: isTraced(config),
  };
}

function openTo(config: Config): string {
  if (config.ALLOW_ANONYMOUS) return 'anyone';
  return config.API_KEYS.length + config.API_READ_KEYS.length > 0 ? 'keys' : 'this machine';
}

/**
 * Signals that end a broken process. With a listener the process would continue and repeat the fault at once: when its
 * terminal is gone, Node aborts in a loop that occupies a core.
 */
const faultSignals = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'] as const;

/** Stops all parts and then the process on a signal or an uncaught error, within the configured time. */
function stopWithGrace(config: Config, log: pino.Logger, parts: StopPart[]): void {
  const delay = config.SHUTDOWN_DRAIN_MS + config.SHUTDOWN_TIMEOUT_MS;
  closeWithGrace({ delay, logger: log, skip: [...faultSignals] }, async ({ signal, err }) => {
    stopping.abort();
    if (err) log.fatal({ err: loggable(err) }, 'the process failed');
    else log.info({ signal }, 'stopping');
    await stopParts(parts, err !== undefined);
    log.info('stopped');
  });
}

/** Prints the addresses of the service and the first commands for a person who starts it by hand. */
function welcome(address: string, database: Database, config: Config): void {
  const sessions = `${address}/api/checkout-sessions`;
  const key = config.API_KEYS.length + config.API_READ_KEYS.length > 0 ? '-H "Authorization: Bearer KEY" ' : '';
  const url = address === 'http://127.0.0.1:3000' ? '' : ` -- --url ${address}`;
  const hasSecret = config.STRIPE_WEBHOOK_SECRETS.length > 0;
  const start = hasSecret ? '' : `\n  STRIPE_WEBHOOK_SECRETS=${trialSecret} npm start     (in place of this one)`;
  process.stdout.write(`
Checkout Session Service, on ${database.description}

  API      ${sessions}
  Docs     ${address}/docs${config.CONSOLE ? `\n  Console  ${address}/console` : ''}

Try, in another terminal:
  curl -X POST ${sessions} ${key}-H "content-type: application/json" -d "{\\"id\\":\\"cs_test_1\\",\\"mode\\":\\"payment\\",\\"submit_type\\":\\"pay\\",\\"billing_address_collection\\":\\"auto\\",\\"payment_method_types\\":[\\"card\\"]}"
  curl ${key}${sessions}/cs_test_1

Send sample events, signed as Stripe signs them:${start}
  npm run try-webhook${url}

`);
}

try {
  const config = parseConfig(process.env);
  const log = await createLogger(config.LOG_LEVEL);
  for (const warning of [...nameWarnings(process.env), ...secretWarnings(config)]) log.warn(warning);
  await start(config, log);
} catch (error) {
  // After a signal during the start, stopWithGrace stops the parts and ends the process.
  if (!stopping.signal.aborted) {
    process.stderr.write(`${operatorMessage(error) ?? (error as Error).stack ?? error}\n`);
    // Setting process.exitCode is not enough: timers and sockets of libraries may keep the process alive for seconds.
    process.exit(1);
  }
}
