import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Problem, type ProblemCode } from '../errors.js';
import { problemType } from './error-handler.js';

/** Answers with a problem document where Node would answer without one, or close the connection. */

/** Node answers these by itself, without a body, unless the server option and the listeners below say otherwise. */
export const httpOptions = { requireHostHeader: false } as const;

/** Closes the connection too, as Node does: who sends no Host may not speak HTTP. */
function noHost(): Problem {
  return new Problem('malformed-request', { detail: 'There is no Host header.', headers: { connection: 'close' } });
}

/** The newest answer on each connection. */
const answers = new WeakMap<Duplex, ServerResponse>();

/** Refuses the requests that HTTP says a server must refuse, and tunnels. */
export function refuseByHttp(app: FastifyInstance): void {
  app.server.on('request', ({ socket }, response) => {
    answers.set(socket, response);
  });
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    app.server.emit('request', request, response);
  });
  app.addHook('onRequest', ({ raw: { headers, httpVersion } }, _reply, next) => {
    // Before HTTP/1.1 there was neither.
    if (httpVersion !== '1.0') {
      if (headers.host === undefined) throw noHost();
      if (headers.expect !== undefined && !/(?:^|\W)100-continue(?:$|\W)/i.test(headers.expect)) {
        throw new Problem('expectation-failed');
      }
    }
    next();
  });
  app.server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    // Node has taken its own listener away: without one a reset would end the process.
    socket.on('error', () => {});
    endWith(socket, new Problem('method-not-allowed', { detail: 'This server is no proxy.', headers: { allow: '' } }));
  });
}

const problemBySocketError: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
};

/**
 * Answers what Node cannot parse as HTTP, on the bare socket, and closes it. The answer to the request before goes first:
 * a client would take this one for it.
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
