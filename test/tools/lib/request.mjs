import { request } from 'node:http';

/** Milliseconds that an answer may take. */
export const requestTimeout = 20_000;

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {Record<string, string>} [headers]
 * @property {string} [payload] JSON
 *
 * @typedef {{ status: number, text: string, etag: string | undefined }} Answer
 */

/**
 * Sends a request with full access, and never repeats it: a repeated write would hide a lost answer.
 *
 * @param {import('node:http').Agent} agent @param {{ port: number, key: string }} service @param {Request} request
 * @returns {Promise<Answer>}
 */
export function send(agent, { port, key }, { method, path, headers, payload }) {
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ agent, host: '127.0.0.1', port, method, path },
      headers: {
        authorization: `Bearer ${key}`,
        ...headers,
        ...(payload && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      },
      signal: AbortSignal.timeout(requestTimeout),
    });
    sent.on('error', reject);
    sent.on('response', async (response) => {
      try {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode ?? 0, text, etag: response.headers.etag });
      } catch (error) {
        reject(error);
      }
    });
    sent.end(payload);
  });
}
