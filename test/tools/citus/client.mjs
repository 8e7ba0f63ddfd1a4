/** Requests to the service, and deliveries as Stripe signs them. */
import Stripe from 'stripe';
import { sessionsPath, webhookSecret } from '../load/operations.mjs';

/**
 * @typedef {{ status: number, json: any, text: string, etag: string | undefined, source: string | null }} Answer
 * @typedef {ReturnType<typeof makeClient>} Client
 */

const { webhooks } = new Stripe('sk_test_unused');
/** Milliseconds. */
const limit = 60_000;

/** @param {{ port: number, key: string }} service */
export function makeClient({ port, key }) {
  const base = `http://127.0.0.1:${port}`;

  /**
   * @param {string} method @param {string} path or the URL of a page @param {unknown} [body]
   * @param {Record<string, string>} [headers] @returns {Promise<Answer>}
   */
  async function call(method, path, body, headers = {}) {
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(new URL(path, base), {
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

  /** Calls with one session's path. @param {string} method @param {string} id @param {unknown} [body] @param {Record<string, string>} [headers] */
  const session = (method, id, body, headers) => call(method, `${sessionsPath}/${id}`, body, headers);

  /**
   * Delivers an event and resolves to what was done with it.
   *
   * @param {{ id: string, created: number, object: object, type?: string }} event
   * @returns {Promise<string>} the outcome, or the status and the problem
   */
  async function deliver({ id, created, object, type = 'checkout.session.completed' }) {
    const event = { id, object: 'event', type, created, livemode: false, api_version: '2026-07-29', data: { object } };
    const payload = JSON.stringify(event);
    const signature = webhooks.generateTestHeaderString({ payload, secret: webhookSecret });
    const { status, json, text } = await call('POST', '/webhooks/stripe', payload, { 'stripe-signature': signature });
    return status === 200 ? json.outcome : `${status} ${text}`;
  }

  return { call, session, deliver };
}

/** @param {string} text @returns {any} undefined where it is no JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
