import type { FastifyInstance } from 'fastify';
import type { StatisticsStore } from '../database/statistics.js';
import { parseStatisticsQuery, statisticsParameters } from '../model/statistics.js';
import { json, problems, reference } from '../plugins/openapi/responses.js';
import { requestProblems, serverProblems, validOrThrow } from './answers.js';

/** Serves statistics of the sessions. */
export async function statisticsRoutes(app: FastifyInstance, { statistics }: { statistics: StatisticsStore }) {
  app.get(
    '/statistics/daily',
    {
      schema: {
        operationId: 'statistics_daily',
        summary: 'Count the sessions of each day',
        description:
          'Returns for each day in UTC the sessions that Stripe created on that day, by their present state, and the amounts paid. It does not count sessions without `created`. Counting stops after about a second: `left_out` then names the missing days.',
        tags: ['statistics'],
        querystring: statisticsParameters,
        response: {
          200: json('The statistics of each day.', reference('DailyStatistics')),
          ...problems(...requestProblems, 'invalid-request', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const query = validOrThrow(parseStatisticsQuery(request.query));
      return reply.type('application/json; charset=utf-8').send(await statistics.daily(query));
    },
  );
}
