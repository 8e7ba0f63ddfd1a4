import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type Database, ping } from '../database/database.js';
import { json, problems } from '../plugins/openapi.js';

const Status = Type.Object({ status: Type.String({ enum: ['ok'], description: 'Always `ok`: else it is an error.' }) });
const ok = { status: 'ok' };

/** Whether the process lives, and whether it can serve. Open to all: they say nothing else. */
export async function healthRoutes(app: FastifyInstance, { database }: { database: Database }) {
  app.get(
    '/health/live',
    {
      schema: {
        operationId: 'health_live',
        summary: 'Is the process alive?',
        description: 'Asks nothing of the database. When it fails, restart the process.',
        tags: ['health'],
        security: [],
        response: { 200: json('It is.', Status), ...problems('internal') },
      },
    },
    () => ok,
  );

  app.get(
    '/health/ready',
    {
      schema: {
        operationId: 'health_ready',
        summary: 'Can it serve requests?',
        description: 'Asks the database. While it fails, send requests elsewhere.',
        tags: ['health'],
        security: [],
        response: { 200: json('It can.', Status), ...problems('internal', 'database-unavailable', 'query-timeout') },
      },
    },
    async () => {
      await ping(database);
      return ok;
    },
  );
}
