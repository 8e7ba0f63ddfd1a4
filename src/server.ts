import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import closeWithGrace from 'close-with-grace';
import pino from 'pino';
import { buildApp } from './app.js';
import { type Config, isTraced, nameWarnings, parseConfig, secretWarnings } from './config.js';
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

/** The process: configuration → database → migrations → app → listen, and back again on a signal. */

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

/** Ends what waits, when the process is told to stop. */
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
    // Another role may have made the tables, by DATABASE_DIRECT_URL.
    if (applied.length > 0) await assertMayRun(database.query);
    return;
  }
  await requireMigrations(database, 'MIGRATE_ON_START is false');
}

/** `isHasty` where something failed. */
type Shutdown = (isHasty: boolean) => Promise<unknown>;

/** Ends what was begun, the last first. */
async function endAll(begun: Shutdown[], isHasty: boolean): Promise<void> {
  for (let end = begun.pop(); end; end = begun.pop()) await end(isHasty);
}

async function start(config: Config, log: pino.Logger): Promise<void> {
  const begun: Shutdown[] = [];
  stopWithGrace(config, log, begun);
  try {
    const database = await openDatabase(config, {
      onIdleError: (error) => log.warn({ err: loggable(error) }, 'a database connection failed'),
      onWorkerFailure: (error) =>
        log.error({ err: loggable(error) }, 'a worker of Citus fails: the sessions on it are not served'),
    });
    begun.push(() => database.close());
    await prepareDatabase(config, database, log);
    const tracing = isTraced(config) && (await import('./plugins/tracing.js')).startTracing(config, log);
    if (tracing) begun.push(() => tracing.stop());
    const app = await buildApp(config, { database, logger: log, ...(tracing && { tracing: tracing.plugin }) });
    begun.push(() => app.close());
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
    begun.push(() => schedule.stop());
    begun.push((isHasty) => {
      app.drain();
      return setTimeout(isHasty ? 0 : config.SHUTDOWN_DRAIN_MS);
    });
    // Garbage that has grown old goes once the heap has doubled: by itself V8 waits until it has grown fourfold, where the
    // machine has memory enough. Not before: with other flags V8 compiles again what Node has compiled of itself.
    setFlagsFromString('--heap-growing-percent=100');
    log.info({ version, address, database: database.description, ...featuresOf(config, clients) }, 'listening');
    if (process.stdout.isTTY || process.env.npm_lifecycle_event === 'start') welcome(address, database, config);
  } catch (error) {
    await endAll(begun, true);
    throw error;
  }
}

/** What the configuration turns on, for the line of the start. No value of a secret is in it. */
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
 * Signals by which the system ends a process that is broken. With a listener of ours such a process goes on, and meets its
 * fault again at once: Node aborts when its terminal is gone, and then took a core for ever.
 */
const faultSignals = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'] as const;

/** On a signal, or a failure that nothing caught, ends what was begun and then the process, in time. */
function stopWithGrace(config: Config, log: pino.Logger, begun: Shutdown[]): void {
  const delay = config.SHUTDOWN_DRAIN_MS + config.SHUTDOWN_TIMEOUT_MS;
  closeWithGrace({ delay, logger: log, skip: [...faultSignals] }, async ({ signal, err }) => {
    stopping.abort();
    if (err) log.fatal({ err: loggable(err) }, 'the process failed');
    else log.info({ signal }, 'stopping');
    await endAll(begun, err !== undefined);
    log.info('stopped');
  });
}

/** Prints where the service is and what to try, for the person who typed `npm start`. */
function welcome(address: string, database: Database, config: Config): void {
  const sessions = `${address}/api/checkout-sessions`;
  const key = config.API_KEYS.length + config.API_READ_KEYS.length > 0 ? '-H "Authorization: Bearer KEY" ' : '';
  const url = address === 'http://127.0.0.1:3000' ? '' : ` -- --url ${address}`;
  const hasSecret = config.STRIPE_WEBHOOK_SECRETS.length > 0;
  const start = hasSecret ? '' : '\n  STRIPE_WEBHOOK_SECRETS=whsec_try npm start     (in place of this one)';
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
  // Told to stop while it started: what was begun is being ended, and then the process.
  if (!stopping.signal.aborted) {
    process.stderr.write(`${operatorMessage(error) ?? (error as Error).stack ?? error}\n`);
    // Not by the exit code alone: what a library left behind may keep the process for seconds.
    process.exit(1);
  }
}
