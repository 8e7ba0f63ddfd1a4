import { expect } from 'vitest';
import { signatureOf } from '../../support/stripe.js';
import type { StripeApi } from '../../support/stripe-api.js';
import { type Answer, expectConforms } from '../conforms.js';
import { expectPages } from './lists.js';
import {
  type Fields,
  holds,
  Mirror,
  type ModelSession,
  type Preconditions,
  patchedFields,
  type RawState,
  storedFields,
} from './mirror.js';
import type { Request, RequestOf, Tag } from './requests.js';

/** Sends each request to the service and to the model, and expects the service to answer as the model does. */

const sessionPath = '/api/checkout-sessions/{id}';
const foreignTag = '"0-0"';

interface Sent {
  headers?: Record<string, string>;
  body?: unknown;
  query?: string;
}

type Given = { [Name in keyof Preconditions]: Tag[] | '*' | undefined };

export class Driver {
  readonly mirror = new Mirror();
  #oldTags: string[] = [foreignTag];
  requests = 0;

  constructor(
    readonly url: string,
    readonly stripe: StripeApi,
  ) {}

  /** Sends one request to a path of the contract and expects a conforming answer. */
  async send(method: string, path: string, id: string, { headers = {}, body, query = '' }: Sent = {}): Promise<Answer> {
    this.requests += 1;
    const response = await fetch(`${this.url}${path.replace(/\{\w+\}/, encodeURIComponent(id))}${query}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const answer = { status: response.status, headers: response.headers, text: await response.text() };
    expectConforms(method, path, answer);
    return answer;
  }

  /** Builds precondition headers from symbolic tags, and the preconditions the model expects. */
  #preconditions(id: string, given: Given | undefined): { headers: Record<string, string>; expected: Preconditions } {
    const current = this.mirror.sessions.get(id)?.etag ?? foreignTag;
    const old = this.#oldTags.at(-1) as string;
    const tags = { current, weak: `W/${current}`, old: old === current ? foreignTag : old, foreign: '"x,y"' };
    const headers: Record<string, string> = {};
    const expected: Preconditions = {};
    for (const [name, header] of [
      ['match', 'if-match'],
      ['noneMatch', 'if-none-match'],
    ] as const) {
      const listed = given?.[name];
      if (listed === undefined) continue;
      headers[header] = listed === '*' ? '*' : listed.map((tag) => tags[tag]).join(', ');
      expected[name] = listed === '*' ? '*' : listed.map((tag) => tags[tag].replace(/^W\//, ''));
    }
    return { headers, expected };
  }

  /** Expects an answer with a new state of the session, and copies the values the service chose into the model. */
  #acceptNewState(id: string, fields: Fields, answer: Answer): void {
    const { mirror } = this;
    const before = mirror.sessions.get(id);
    const body = JSON.parse(answer.text);
    const { djstripe_id, djstripe_created, djstripe_updated, ...rest } = body;
    expect(rest).toEqual({ ...fields, id });
    if (before?.row) {
      expect([djstripe_id, djstripe_created]).toEqual([before.row.djstripe_id, before.row.djstripe_created]);
      expect(djstripe_updated >= before.row.djstripe_updated).toBe(true);
    } else {
      expect(djstripe_id).toBeGreaterThan(mirror.lastNumber);
      mirror.lastNumber = djstripe_id;
    }
    const etag = answer.headers.get('etag') as string;
    expect(mirror.tags).not.toContain(etag);
    mirror.tags.add(etag);
    if (before?.etag) this.#oldTags.push(before.etag);
    mirror.put(id, fields, etag, { djstripe_id, djstripe_created, djstripe_updated });
  }

  /** Expects the service to have the same session as the model. */
  async expectStored(id: string): Promise<void> {
    const held = this.mirror.sessions.get(id);
    const answer = await this.send('GET', sessionPath, id);
    expect(answer.status).toBe(held ? 200 : 404);
    if (held) this.#expectSame(held, answer);
  }

  #expectSame({ fields, row, etag }: ModelSession, answer: Answer): void {
    expect(JSON.parse(answer.text)).toEqual({ ...fields, ...row });
    expect(answer.headers.get('etag')).toBe(etag);
  }

  async create({ id, body, fault }: RequestOf<'create'>): Promise<void> {
    const sent = { ...body, id, ...fault };
    const answer = await this.send('POST', '/api/checkout-sessions', '', { body: sent });
    const isFaulty = fault !== undefined && fault.id === undefined;
    if (isFaulty) return expect(answer.status).toBe(400);
    const exists = this.mirror.sessions.has(sent.id as string);
    expect(answer.status).toBe(exists ? 409 : 201);
    if (exists) return;
    expect(answer.headers.get('location')).toBe(
      `${this.url}/api/checkout-sessions/${encodeURIComponent(sent.id as string)}`,
    );
    this.#acceptNewState(sent.id as string, storedFields(body as Fields), answer);
  }

  async replace({ id, body, fault, preconditions }: RequestOf<'replace'>): Promise<void> {
    const { headers, expected } = this.#preconditions(id, preconditions as Given);
    const answer = await this.send('PUT', sessionPath, id, { headers, body: { ...body, ...fault } });
    if (fault) return expect(answer.status).toBe(400);
    const held = this.mirror.sessions.get(id);
    if (!holds(expected, held?.etag)) return expect(answer.status).toBe(412);
    expect(answer.status).toBe(held ? 200 : 201);
    this.#acceptNewState(id, storedFields(body as Fields), answer);
  }

  async patch({ id, patch, fault, preconditions }: RequestOf<'patch'>): Promise<void> {
    const { headers, expected } = this.#preconditions(id, preconditions as Given);
    const body = { ...patch, ...fault };
    const answer = await this.send('PATCH', sessionPath, id, { headers, body });
    // A merge patch may omit required properties but must not remove them.
    if (fault) return expect(answer.status).toBe(400);
    const held = this.mirror.sessions.get(id);
    if (!held || !holds(expected, held.etag)) return expect(answer.status).toBe(this.#refusal(held, expected));
    expect(answer.status).toBe(200);
    if (Object.keys(patch).length === 0) return this.#expectSame(held, answer);
    this.#acceptNewState(id, patchedFields(held.fields, patch as Fields), answer);
  }

  #refusal(held: ModelSession | undefined, { match }: Preconditions): number {
    return held || match !== undefined ? 412 : 404;
  }

  async remove({ id, preconditions }: RequestOf<'remove'>): Promise<void> {
    const { headers, expected } = this.#preconditions(id, preconditions as Given);
    const answer = await this.send('DELETE', sessionPath, id, { headers });
    const held = this.mirror.sessions.get(id);
    if (!held || !holds(expected, held.etag)) return expect(answer.status).toBe(this.#refusal(held, expected));
    expect(answer.status).toBe(204);
    this.#oldTags.push(held.etag);
    this.mirror.remove(id);
  }

  async retrieve({ id, preconditions, payment }: RequestOf<'retrieve'>): Promise<void> {
    const { headers, expected } = this.#preconditions(
      id,
      preconditions && ({ noneMatch: preconditions.noneMatch } as Given),
    );
    const answer = await this.send('GET', sessionPath, id, { headers, query: payment ? '?include=payment' : '' });
    const held = this.mirror.sessions.get(id);
    if (!held) return expect(answer.status).toBe(404);
    // The ETag does not cover the payment's last event.
    if (!payment && !holds(expected, held.etag)) {
      expect([answer.status, answer.headers.get('etag')]).toEqual([304, held.etag]);
      return;
    }
    const body = JSON.parse(answer.text);
    expect(answer.status).toBe(200);
    expect(body).toEqual({ ...held.fields, ...held.row, ...(payment && { payment: paymentOf(held, this.mirror) }) });
  }

  async payment({ id }: RequestOf<'payment'>): Promise<void> {
    await this.#expectFromStripe(id, 'payment', (held) => paymentOf(held, this.mirror));
  }

  async stripeData({ id }: RequestOf<'stripeData'>): Promise<void> {
    await this.#expectFromStripe(id, 'stripe-data', ({ raw }) => raw ?? null);
  }

  async #expectFromStripe(id: string, resource: string, expected: (held: ModelSession) => unknown): Promise<void> {
    const answer = await this.send('GET', `${sessionPath}/${resource}`, id);
    const held = this.mirror.sessions.get(id);
    const type = `urn:problem:${held ? 'stripe-data' : 'session'}-not-found`;
    if (!held?.raw) return expect([answer.status, JSON.parse(answer.text).type]).toEqual([404, type]);
    expect([answer.status, answer.headers.get('etag')]).toEqual([200, held.etag]);
    expect(JSON.parse(answer.text)).toEqual(expected(held));
  }

  async deliver({ raw, event, forged }: RequestOf<'deliver'>): Promise<void> {
    const body = JSON.stringify({ object: 'event', ...event, data: { object: raw } });
    const headers = { 'stripe-signature': signatureOf(forged ? `${body} ` : body) };
    const answer = await this.send('POST', '/webhooks/stripe', '', { headers, body });
    if (forged) return expect(answer.status).toBe(400);
    expect(answer.status).toBe(200);
    if (!event.type.startsWith('checkout.session.'))
      return expect(JSON.parse(answer.text)).toEqual({ outcome: 'ignored' });
    const { outcome, changed } = this.mirror.apply(raw, event.created, event);
    expect(JSON.parse(answer.text)).toEqual({ outcome, session: raw.id });
    await this.#expectAfter(raw.id, changed);
  }

  /** Expects the state after a delivery, which changed the session or left it alone. */
  async #expectAfter(id: string, changed: Fields | undefined): Promise<void> {
    if (changed) this.#acceptNewState(id, changed, await this.send('GET', sessionPath, id));
    else await this.expectStored(id);
  }

  async refresh({ raw: given, isKnown }: RequestOf<'refresh'>): Promise<void> {
    const { id } = given;
    const { line_items, ...raw }: RawState = { ...given, livemode: id.startsWith('cs_live_') };
    const lineItems = ((line_items as { data?: unknown[] } | undefined)?.data ?? []) as { id: string }[];
    const held = this.mirror.sessions.get(id);
    this.stripe.removeSession(id);
    if (isKnown)
      this.stripe.putSession(raw as RawState, {
        lineItems,
        account: (held?.fields.djstripe_owner_account ?? '') as string,
      });
    const answer = await this.send('POST', `${sessionPath}/refresh`, id);
    if (!isKnown) {
      expect(answer.status).toBe(404);
      return this.expectStored(id);
    }
    const url = `/v1/checkout/sessions/${id}/line_items`;
    const asked = { ...raw, line_items: { object: 'list', data: lineItems, has_more: false, url } } as RawState;
    // A refresh is newer than every event in this test.
    const { outcome, changed } = this.mirror.apply(asked, Number.MAX_SAFE_INTEGER);
    expect(answer.status).toBe(outcome === 'deleted' ? 404 : 200);
    if (changed) this.#acceptNewState(id, changed, answer);
    else if (answer.status === 200) this.#expectSame(this.mirror.sessions.get(id) as ModelSession, answer);
  }

  async list(query: RequestOf<'list'>): Promise<void> {
    await expectPages(this, query);
  }

  async events({ id }: RequestOf<'events'>): Promise<void> {
    const query = `?session_id=${encodeURIComponent(id)}&limit=1000`;
    const answer = await this.send('GET', '/api/stripe-events', '', { query });
    const { results } = JSON.parse(answer.text);
    const entries = results.map((row: Fields) => ({
      id: row.id,
      type: row.type,
      session_id: row.session_id,
      outcome: row.outcome,
      api_version: row.api_version ?? '',
      created: Date.parse(row.created as string) / 1000,
    }));
    expect(entries).toEqual(this.mirror.ledger.filter((entry) => entry.session_id === id));
  }

  async enums({ name }: RequestOf<'enums'>): Promise<void> {
    const answer = await this.send('GET', '/api/enums/{name}', name);
    expect(answer.status).toBe(name === 'locale' ? 404 : 200);
  }

  run({ kind, input }: Request): Promise<void> {
    return (this[kind] as (input: unknown) => Promise<void>)(input);
  }
}

/** Returns what `/payment` answers for a session. */
export function paymentOf({ raw, fields }: ModelSession, mirror: Mirror): Fields | null {
  if (!raw) return null;
  const { id, status, payment_status, amount_total = null, currency = null, expires_at } = raw;
  const last = mirror.lastEvent(id);
  return {
    ...{ id, status, payment_status, amount_total, currency, amount_subtotal: null },
    expires_at: typeof expires_at === 'number' ? secondOf(expires_at) : null,
    livemode: fields.livemode as boolean | null,
    last_event_type: last?.type ?? null,
    last_event_at: last ? secondOf(last.created) : null,
    payment_failed: payment_status === 'unpaid' && last?.type === 'checkout.session.async_payment_failed',
  };
}

const secondOf = (seconds: number) => new Date(1000 * seconds).toISOString().replace('.000', '');
