import type { FastifyInstance } from 'fastify';
import type { StatisticsStore } from '../database/statistics.js';
import { parseStatisticsQuery, statisticsParameters } from '../model/statistics.js';
import { json, problems, reference } from '../plugins/openapi/responses.js';
import { accepted, requestProblems, serverProblems } from './answers.js';

/** The sessions in numbers. */
export async function statisticsRoutes(app: FastifyInstance, { statistics }: { statistics: StatisticsStore }) {
  app.get(
    '/statistics/daily',
    {
      schema: {
        operationId: 'statistics_daily',
        summary: 'Count the sessions of each day',
        description:
          'For each day, in UTC, the sessions that Stripe created on it, by the state that they have now, and what was paid for them. Sessions without `created` are in no day. Counting ends after about a second: `left_out` then names the days that are missing.',
        tags: ['statistics'],
        querystring: statisticsParameters,
        response: {
          200: json('The days.', reference('DailyStatistics')),
          ...problems(...requestProblems, 'invalid-request', ...serverProblems),
        },
      },
    },
    async (request, reply) => {
      const query = accepted(parseStatisticsQuery(request.query));
      return reply.type('application/json; charset=utf-8').send(await statistics.daily(query));
    },
  );
}
