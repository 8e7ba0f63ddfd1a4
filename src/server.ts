import closeWithGrace from 'close-with-grace';
import pino from 'pino';
import { buildApp } from './app.js';
import { type Config, parseConfig } from './config.js';
import type { Database } from './database/database.js';
import { operatorMessage } from './database/failures.js';
import { migrate, pendingMigrations } from './database/migrate.js';
import { openDatabase } from './database/open.js';
import { loggable, OperatorError } from './errors.js';
import { stripeClients } from './stripe/client.js';
import { startSchedule } from './stripe/schedule.js';

/** The process: configuration → database → migrations → app → listen, and back again on a signal. */

async function createLogger(level: string): Promise<pino.Logger> {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  if (!process.stdout.isTTY) return pino(options);
  const { default: pretty } = await import('pino-pretty');
  return pino(options, pretty());
}

async function prepareDatabase(config: Config, database: Database, log: pino.Logger): Promise<void> {
  if (config.MIGRATE_ON_START) {
    const applied = await migrate(database);
    if (applied.length > 0) log.info({ applied }, 'migrated');
    return;
  }
  const pending = await pendingMigrations(database);
  if (pending.length > 0) {
    throw new OperatorError(
      `The database lacks migrations (${pending.join(', ')}) and MIGRATE_ON_START is false: run npm run migrate.`,
    );
  }
}

async function start(config: Config, log: pino.Logger): Promise<void> {
  const database = await openDatabase(config, (error) =>
    log.warn({ err: loggable(error) }, 'a database connection failed'),
  );
  try {
    await prepareDatabase(config, database, log);
    const app = await buildApp(config, { database, logger: log });
    const address = await app.listen({ host: config.HOST, port: config.PORT });
    const schedule = startSchedule({
      database,
      ingest: app.ingest,
      log,
      clients: stripeClients(config),
      catchUpInterval: config.CATCH_UP_INTERVAL_MINUTES * 60_000,
      eventRetentionDays: config.STRIPE_EVENT_RETENTION_DAYS,
    });
    closeWithGrace({ delay: config.SHUTDOWN_TIMEOUT_MS, logger: log }, async ({ signal, err }) => {
      if (err) log.fatal({ err: loggable(err) }, 'the process failed');
      else log.info({ signal }, 'stopping');
      await schedule.stop();
      await app.close();
      await database.close();
      log.info('stopped');
    });
    log.info({ address, database: database.description }, 'listening');
    if (process.stdout.isTTY || process.env.npm_lifecycle_event === 'start') welcome(address, database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** For the person who typed `npm start`. */
function welcome(address: string, database: Database): void {
  process.stdout.write(`
Checkout Session Service, on ${database.description}

  API   ${address}/api/checkout-sessions
  Docs  ${address}/docs

Try:
  curl -X POST ${address}/api/checkout-sessions -H "content-type: application/json" -d "{\\"id\\":\\"cs_test_1\\",\\"mode\\":\\"payment\\",\\"submit_type\\":\\"pay\\",\\"billing_address_collection\\":\\"auto\\",\\"payment_method_types\\":[\\"card\\"]}"
  curl ${address}/api/checkout-sessions/cs_test_1

`);
}

try {
  const config = parseConfig(process.env);
  await start(config, await createLogger(config.LOG_LEVEL));
} catch (error) {
  process.stderr.write(`${operatorMessage(error) ?? (error as Error).stack ?? error}\n`);
  // Not by the exit code alone: what a library left behind may keep the process for seconds.
  process.exit(1);
}
