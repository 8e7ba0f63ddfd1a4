import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { databaseProblem } from '../database/engine/sqlstate.js';
import { catalogue, loggable, Problem, type ProblemCode } from '../errors.js';

export const problemType = 'application/problem+json';

/** The problems behind Fastify's own error codes. */
const problemByFastifyCode: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_BAD_URL: 'malformed-request',
  FST_ERR_NOT_FOUND: 'not-found',
};

/** Returns the problem that describes an error to the client. */
export function asProblem(error: FastifyError): Problem {
  if (error instanceof Problem) return error;
  const code = problemByFastifyCode[error.code];
  if (code) return new Problem(code, { cause: error });
  // Fastify's remaining errors below 500 are faults of the request: JSON, headers, lengths. Their messages suit clients.
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new Problem('malformed-request', { detail: error.message, cause: error });
  }
  return databaseProblem(error) ?? new Problem('internal', { cause: error });
}

/** Sends the problem document of an error. Logs it if its status is 500 or more, except 501, which is not a failure. */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const problem = asProblem(error);
  if (problem.statusCode >= 500 && problem.statusCode !== 501) {
    request.log.error(
      { request_id: request.id, err: loggable(problem.cause ?? problem), problem: problem.code },
      catalogue[problem.code].title,
    );
  }
  void sendProblem(problem, request, reply);
}

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = ''] = request.url.split('?', 1);
  return reply
    .code(problem.statusCode)
    .headers(problem.headers)
    .headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' })
    .type(problemType)
    .send(JSON.stringify(problem.document(path, request.id)));
}

/** Sets the error handler, and the 404 for unknown paths. */
export default fastifyPlugin((app: FastifyInstance, _options, done) => {
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((request, reply) => sendProblem(new Problem('not-found'), request, reply));
  done();
});
