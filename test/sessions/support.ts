import type supertest from 'supertest';
import { expect } from 'vitest';
import { sessionBody, sessionsPath } from '../support/service.js';

/** Returns the path of a session. */
export const pathOf = (id: string) => `${sessionsPath}/${encodeURIComponent(id)}`;

/** Returns the steps that tests of one service share. */
export function sessionSteps(api: supertest.Agent) {
  return {
    /** Creates a session. Returns what was sent and what was answered. */
    async createSession(fields: Record<string, unknown> = {}) {
      const sent = sessionBody(fields);
      const { body, headers, text } = await api.post(sessionsPath).send(sent).expect(201);
      return { path: pathOf(sent.id), sent, body, text, etag: headers.etag as string };
    },

    /** Expects a session to have the ETag it had before. */
    async expectUnchanged(path: string, etag: string) {
      expect((await api.get(path).expect(200)).headers.etag).toBe(etag);
    },
  };
}
