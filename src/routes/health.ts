import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Database } from '../database/engine/database.js';
import { healthCheck } from '../database/engine/health.js';
import { Problem } from '../errors.js';
import type { Lifecycle } from '../plugins/graceful-close.js';
import { json, problems } from '../plugins/openapi/responses.js';
import { version } from '../version.js';

interface HealthRoutesOptions {
  database: Database;
  lifecycle: Lifecycle;
}

const status = Type.String({ enum: ['ok'], description: 'Always `ok`: else it is an error.' });
const Live = Type.Object({ status, version: Type.String({ description: 'The version of the service.' }) });
const Readiness = Type.Object({
  status,
  writable: Type.Boolean({
    description:
      'Whether the database takes writes. When false, as on a standby after a failover, reads are served and writes answer 503.',
  }),
});
const ok = { status: 'ok' };

/** Whether the process lives, and whether it can serve. Open to all: they say nothing else but the version. */
export async function healthRoutes(app: FastifyInstance, { database, lifecycle }: HealthRoutesOptions) {
  const checkDatabase = healthCheck(database);
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
          'Asks the database, which must have its migrations, on a connection of its own. Fails while the process is stopping too. While it fails, send requests elsewhere. Where the database only reads, it does not fail and says so.',
        tags: ['health'],
        security: [],
        response: {
          200: json('It can.', Readiness),
          ...problems('internal', 'database-unavailable', 'draining'),
        },
      },
    },
    async () => {
      if (lifecycle.isDraining) throw new Problem('draining');
      return { ...ok, ...(await checkDatabase()) };
    },
  );
}
