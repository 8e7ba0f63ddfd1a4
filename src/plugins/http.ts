import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Problem, type ProblemCode } from '../errors.js';
import { problemType } from './error-handler.js';

/** Problem documents for requests that Node would answer without a body, or by closing the connection. */

/** Leaves requests without a Host header to `refuseByHttp`: Node itself would answer them without a body. */
export const httpOptions = { requireHostHeader: false } as const;

/** Returns the problem of a missing Host. It closes the connection, as Node does: the client may not speak HTTP. */
function noHost(): Problem {
  return new Problem('malformed-request', { detail: 'There is no Host header.', headers: { connection: 'close' } });
}

/** The newest response on each connection. */
const answers = new WeakMap<Duplex, ServerResponse>();

/** Refuses the requests that a server must refuse under HTTP, and CONNECT. */
export function refuseByHttp(app: FastifyInstance): void {
  app.server.on('request', ({ socket }, response) => {
    answers.set(socket, response);
  });
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    app.server.emit('request', request, response);
  });
  app.addHook('onRequest', ({ raw: { headers, httpVersion } }, _reply, next) => {
    // HTTP/1.0 defines neither Host nor Expect.
    if (httpVersion !== '1.0') {
      if (headers.host === undefined) throw noHost();
      if (headers.expect !== undefined && !/(?:^|\W)100-continue(?:$|\W)/i.test(headers.expect)) {
        throw new Problem('expectation-failed');
      }
    }
    next();
  });
  app.server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    // Node has removed its error listener. Without one a reset would end the process.
    socket.on('error', () => {});
    endWith(
      socket,
      new Problem('method-not-allowed', { detail: 'This server is not a proxy.', headers: { allow: '' } }),
    );
  });
}

const problemBySocketError: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
};

/**
 * Answers a request that Node cannot parse, on the socket itself, and closes it. The response to the previous request goes
 * first: a client would take this one for it.
 */
export function refuseUnreadable(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  const answer = answers.get(socket);
  if (answer?.req.complete && !answer.closed) {
    answer.once('close', () => refuseUnreadable(error, socket));
    return;
  }
  endWith(socket, new Problem(problemBySocketError[error.code ?? ''] ?? 'malformed-request'));
}

function endWith(socket: Duplex, problem: Problem): void {
  const requestId = randomUUID();
  const body = JSON.stringify(problem.document('', requestId));
  const headers = {
    ...problem.headers,
    'Content-Type': problemType,
    'X-Request-Id': requestId,
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}\r\n${lines.join('')}\r\n${body}`);
}
