/** Requests to the service, and signed deliveries. */
import { eventOf, signed } from '../lib/delivery.mjs';
import { sessionsPath } from '../load/operations.mjs';

/**
 * @typedef {{ status: number, json: any, text: string, etag: string | undefined, source: string | null }} Answer
 * @typedef {ReturnType<typeof makeClient>} Client
 */

/** Milliseconds that an answer may take. */
const limit = 60_000;

/** @param {{ url: string, key: string }} service */
export function makeClient({ url, key }) {
  /**
   * Sends a request with full access.
   *
   * @param {string} method @param {string} path or the URL of a page @param {unknown} [body]
   * @param {Record<string, string>} [headers] @returns {Promise<Answer>}
   */
  async function call(method, path, body, headers = {}) {
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(payload !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload !== undefined && { body: payload }),
      signal: AbortSignal.timeout(limit),
    });
    const text = await response.text();
    return {
      status: response.status,
      json: parsed(text),
      text,
      etag: response.headers.get('etag') ?? undefined,
      source: response.headers.get('mirror-source'),
    };
  }

  /**
   * Sends a request with the path of a session.
   *
   * @param {string} method @param {string} id @param {unknown} [body]
   * @param {Record<string, string>} [headers]
   */
  const session = (method, id, body, headers) => call(method, `${sessionsPath}/${id}`, body, headers);

  /**
   * Delivers an event.
   *
   * @param {{ id: string, created: number, object: object, type?: string }} event
   * @returns {Promise<string>} its outcome, or the status and the problem
   */
  async function deliver({ id, created, object, type = 'checkout.session.completed' }) {
    const { payload, headers } = signed(eventOf(id, object, { created, type }));
    const { status, json, text } = await call('POST', '/webhooks/stripe', payload, headers);
    return status === 200 ? json.outcome : `${status} ${text}`;
  }

  return { call, session, deliver };
}

/** @param {string} text @returns {any} undefined when it is not JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
