import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { catalogue, loggable } from '../errors.js';
import { asStripeError, StripeError } from '../model/stripe-errors.js';
import { asProblem } from './error-handler.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Leaves the path's other methods to the scope of the route, without the 405 of `collectMethods`. */
    answersOtherMethods?: boolean;
  }
}

/** Sends an error in Stripe's shape. Logs it if its status is 500 or more. */
export function handleAsStripe(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const answer = error instanceof StripeError ? error : asStripeError(asProblem(error));
  if (answer.statusCode >= 500) {
    const { problem } = answer;
    request.log.error(
      { request_id: request.id, err: loggable(answer.cause ?? answer), problem },
      problem ? catalogue[problem].title : answer.message,
    );
  }
  void reply
    .code(answer.statusCode)
    .headers(answer.headers)
    .headers({ 'request-id': request.id, 'x-content-type-options': 'nosniff' })
    .type('application/json')
    .send(JSON.stringify(answer.document()));
}

const mirrorsReads =
  'This is a read mirror of Checkout Sessions: it serves GET /v1/checkout/sessions, /v1/checkout/sessions/{id} and /v1/checkout/sessions/{id}/line_items. Send everything else to Stripe, with a client that keeps its host.';

/** A path that is served. The target may be a whole URL, which servers must accept (RFC 9112, section 3.2.2). */
const servedPath = /^(https?:\/\/[^/]*)?\/v1\/checkout\/sessions(\/[^/]+(\/line_items)?)?\/?$/;

/** Makes a scope answer in Stripe's shape, also for unknown paths and methods. Register routes in a scope within it. */
export function answerAsStripe(scope: FastifyInstance): void {
  scope.setErrorHandler(handleAsStripe);
  // Skip bodies: no route here reads one.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, _body, done) => done(null));
  scope.addHook('onRequest', (request, reply, next) => {
    reply.headers({
      'request-id': request.id,
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
    });
    const key = request.headers['idempotency-key'];
    if (typeof key === 'string') reply.header('idempotency-key', key);
    // Answer 404 and 405 before every other check, as on all paths.
    if (request.is404) throw notServed(request);
    next();
  });
  scope.setNotFoundHandler((request) => {
    throw notServed(request);
  });
}

function notServed({ url, method }: FastifyRequest): StripeError {
  const [path = ''] = url.split('?', 1);
  if (!servedPath.test(path)) return new StripeError(404, `Unrecognized request URL. ${mirrorsReads}`);
  const headers = { allow: 'GET, HEAD', 'stripe-should-retry': 'false' };
  return new StripeError(405, `${method} is not served. ${mirrorsReads}`, { headers });
}

const response = (description: string) => ({
  description,
  headers: { 'Request-Id': Type.String({ description: 'The id of the request in the log.' }) },
  content: { 'application/json': { schema: Type.Ref('StripeError#') } },
});

/** Describes the error responses of each operation in Stripe's shape. */
export function stripeErrors() {
  return {
    400: response('A parameter is unknown, out of range, or not supported by the mirror.'),
    401: response('The key is missing or wrong.'),
    403: response(
      'The key has read access only. Or the service has no keys, and the request came from another site or through a proxy.',
    ),
    404: response('This key and account have no such session.'),
    421: response('A service without keys answers only requests to localhost, 127.0.0.1 and [::1].'),
    429: response('The key has sent too many requests.'),
    500: response('The service failed.'),
    502: response('Stripe did not answer, and the session is not stored.'),
    503: response('The database is not available, the query took too long, or the service is overloaded.'),
  };
}
