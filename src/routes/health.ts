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

const status = Type.String({ enum: ['ok'], description: 'Always `ok`. Failures are problem documents.' });
const Live = Type.Object({ status, version: Type.String({ description: 'The version of the service.' }) });
const Readiness = Type.Object({
  status,
  writable: Type.Boolean({
    description:
      'Whether the database accepts writes. When false, as on a standby, the service serves reads and answers writes with 503.',
  }),
});
const ok = { status: 'ok' };

/** Serves the health checks. They need no key: they reveal the version and nothing else. */
export async function healthRoutes(app: FastifyInstance, { database, lifecycle }: HealthRoutesOptions) {
  const checkDatabase = healthCheck(database);
  app.get(
    '/health/live',
    {
      schema: {
        operationId: 'health_live',
        summary: 'Check that the process is alive',
        description: 'Does not use the database. When it fails, restart the process.',
        tags: ['health'],
        security: [],
        response: { 200: json('The process is alive.', Live), ...problems('internal') },
      },
    },
    () => ({ ...ok, version }),
  );

  app.get(
    '/health/ready',
    {
      schema: {
        operationId: 'health_ready',
        summary: 'Check that the process can serve requests',
        description:
          'Queries the database on a connection of its own. Fails when the database is unavailable or lacks migrations, and while the process is stopping. Send requests elsewhere while it fails. It succeeds on a read-only database and reports `writable: false`.',
        tags: ['health'],
        security: [],
        response: {
          200: json('The service can serve requests.', Readiness),
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
