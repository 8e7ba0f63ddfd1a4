import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type Database, ping } from '../database/database.js';
import { pendingMigrations } from '../database/migrate.js';
import { Problem } from '../errors.js';
import type { Lifecycle } from '../plugins/graceful-close.js';
import { json, problems } from '../plugins/openapi.js';
import { version } from '../version.js';

interface HealthRoutesOptions {
  database: Database;
  lifecycle: Lifecycle;
}

const Status = Type.Object({ status: Type.String({ enum: ['ok'], description: 'Always `ok`: else it is an error.' }) });
const Live = Type.Object({
  ...Status.properties,
  version: Type.String({ description: 'The version of the service.' }),
});
const ok = { status: 'ok' };

/** Whether the process lives, and whether it can serve. Open to all: they say nothing else but the version. */
export async function healthRoutes(app: FastifyInstance, { database, lifecycle }: HealthRoutesOptions) {
  const checkDatabase = databaseCheck(database);
  app.get(
    '/health/live',
    {
      schema: {
        operationId: 'health_live',
        summary: 'Is the process alive?',
        description: 'Asks nothing of the database. When it fails, restart the process.',
        tags: ['health'],
        security: [],
        response: { 200: json('It is.', Live), ...problems('internal') },
      },
    },
    () => ({ ...ok, version }),
  );

  app.get(
    '/health/ready',
    {
      schema: {
        operationId: 'health_ready',
        summary: 'Can it serve requests?',
        description:
          'Asks the database, which must have its migrations. Fails while the process is stopping too. While it fails, send requests elsewhere.',
        tags: ['health'],
        security: [],
        response: {
          200: json('It can.', Status),
          ...problems('internal', 'database-unavailable', 'query-timeout', 'draining'),
        },
      },
    },
    async () => {
      if (lifecycle.isDraining) throw new Problem('draining');
      await checkDatabase();
      return ok;
    },
  );
}

/** @returns what fails unless the database answers and has its migrations, which it asks again only after a failure. */
function databaseCheck(database: Database): () => Promise<void> {
  let isMigrated = false;
  return async () => {
    try {
      if (!isMigrated && (await pendingMigrations(database)).length > 0) {
        throw new Problem('database-unavailable', { detail: 'The database lacks migrations.' });
      }
      await ping(database);
      isMigrated = true;
    } catch (error) {
      isMigrated = false;
      throw error;
    }
  };
}
