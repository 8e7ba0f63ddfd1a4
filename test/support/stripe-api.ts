import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { afterAll } from 'vitest';
import { type RawEvent, type RawSession, rawSession } from './stripe.js';

/** A fake Stripe API: the endpoints that the service reads through the official SDK. */

export const stripeKeys = {
  test: 'sk_test_of_the_tests',
  live: 'rk_live_of_the_tests',
  organization: 'sk_org_test_of_the_tests',
};

/** Answers of a proxy or sign-in page that stands between the service and Stripe. */
const foreignAnswers = {
  'page 200': { status: 200, type: 'text/html', body: '<html>Sign in</html>' },
  'page 302': { status: 302, type: 'text/html', body: '<html>Moved</html>' },
  'page 404': { status: 404, type: 'text/html', body: '<html>Not found</html>' },
  'page 502': { status: 502, type: 'text/html', body: '<html>Bad gateway</html>' },
  'json 404': { status: 404, type: 'application/json', body: '{"error":null,"message":"no route"}' },
  'json 503': { status: 503, type: 'application/json', body: '{"error":"no upstream"}' },
} as const;

/** An error of Stripe's, an answer that does not come from Stripe, a cut connection, or no answer at all. */
export type Failure = 401 | 404 | 429 | 500 | 'cut' | 'silence' | keyof typeof foreignAnswers;

type Query = Record<string, string | string[]>;
type StripeObject = Record<string, unknown> & { id: string };

interface StoredObject {
  object: StripeObject;
  created: number;
  livemode: boolean;
  account: string;
  lineItems: StripeObject[];
  /** The id it is served under, if that is not its own. */
  at?: string | undefined;
}

export interface StripeApi {
  /** STRIPE_API_BASE and STRIPE_API_KEYS. */
  environment: { STRIPE_API_BASE: string; STRIPE_API_KEYS: string };
  /** Every request: its path and query, percent-decoded. */
  requests: string[];
  /** The account headers of each request. */
  accounts: { account: string | undefined; context: string | undefined }[];
  /** Runs before each request is answered. */
  before: (request: FastifyRequest) => Promise<unknown>;
  /** Adds a session, or replaces it with a newer state. */
  putSession(session: RawSession, more?: { account?: string; lineItems?: StripeObject[]; at?: string }): void;
  removeSession(id: string): void;
  putEvent(event: RawEvent, account?: string): void;
  /** Fails the next `times` requests, after the next `after` requests succeed. */
  fail(failure: Failure, options?: { times?: number; after?: number; retryAfter?: number }): void;
  /** Removes every session, event, recorded request and planned failure. */
  reset(): void;
}

class StripeProblem extends Error {
  constructor(
    readonly status: number,
    readonly body: Record<string, unknown>,
  ) {
    super(String(body.message));
  }
}

function invalid(message: string, param: string): StripeProblem {
  return new StripeProblem(400, { message, param, type: 'invalid_request_error' });
}

function missing(status: 400 | 404, name: string, id: string, param: string): StripeProblem {
  const message = `No such ${name}: '${id}'`;
  return new StripeProblem(status, { code: 'resource_missing', message, param, type: 'invalid_request_error' });
}

const problems: Record<Exclude<Failure, string>, Record<string, unknown>> = {
  401: { message: 'Invalid API Key provided: sk_test_***ests', type: 'invalid_request_error' },
  404: { message: 'Unrecognized request URL', type: 'invalid_request_error' },
  429: { code: 'rate_limit', message: 'Request rate limit exceeded.', type: 'invalid_request_error' },
  500: { message: 'An unknown error occurred', type: 'api_error' },
};

/** Returns the values of an array parameter, written `types[]=a` or `types[0]=a`. */
function valuesOf(query: Query, name: string): string[] {
  return Object.entries(query).flatMap(([key, value]) => (key.startsWith(`${name}[`) ? value : []));
}

/** Builds a page as Stripe does, from a list in its final order and the cursors of a query. */
function pageOf<Item extends StripeObject>(list: readonly Item[], query: Query, name: string, url: string) {
  const limit = Number(query.limit ?? 10);
  if (!(limit >= 1 && limit <= 100)) throw invalid('This value must be between 1 and 100.', 'limit');
  const place = (param: 'starting_after' | 'ending_before') => {
    const id = query[param];
    const index = list.findIndex((item) => item.id === id);
    if (id !== undefined && index < 0) throw missing(400, name, String(id), param);
    return index;
  };
  const [after, before] = [place('starting_after'), place('ending_before')];
  const between = before < 0 ? list.slice(after + 1) : list.slice(0, before);
  const data = before < 0 ? between.slice(0, limit) : between.slice(-limit);
  return { object: 'list', data, has_more: between.length > data.length, url };
}

/** Sorts newest first. Within one second, the last one added comes first. */
function newestFirst(list: readonly StoredObject[]): StoredObject[] {
  return list.toReversed().sort((one, other) => other.created - one.created);
}

function isWithin({ created }: StoredObject, query: Query): boolean {
  const bound = (name: string) =>
    query[`created[${name}]`] === undefined ? undefined : Number(query[`created[${name}]`]);
  return created >= (bound('gte') ?? 0) && created < (bound('lt') ?? Number.POSITIVE_INFINITY);
}

/** Returns whether a session has the payment intent and subscription that a query asks for. */
function isOf({ object }: StoredObject, query: Query): boolean {
  return ['payment_intent', 'subscription'].every((name) => query[name] === undefined || object[name] === query[name]);
}

/** Starts the API on a port of its own and stops it after the file. */
export async function startStripeApi(): Promise<StripeApi> {
  const sessions: StoredObject[] = [];
  const events: StoredObject[] = [];
  const failures: ({ failure: Failure; retryAfter: number | undefined } | undefined)[] = [];
  const app = Fastify({ forceCloseConnections: true });

  /** Returns the items that the key and account of a request may see. */
  function visible(list: readonly StoredObject[], { headers }: FastifyRequest): StoredObject[] {
    const key = headers.authorization?.replace(/^Bearer /, '');
    if (key === undefined || !Object.values(stripeKeys).includes(key)) throw new StripeProblem(401, problems[401]);
    const isOrganization = key === stripeKeys.organization;
    if (isOrganization && !headers['stripe-context']) throw invalid('Stripe-Context is missing.', 'Stripe-Context');
    const account = String(headers[isOrganization ? 'stripe-context' : 'stripe-account'] ?? '');
    const known = [...sessions, ...events].some((one) => one.account === account);
    if (account !== '' && !known) {
      const message = `The provided key '${key.slice(0, 8)}***' does not have access to account '${account}'.`;
      throw new StripeProblem(403, { code: 'account_invalid', message, type: 'invalid_request_error' });
    }
    return newestFirst(list.filter((one) => one.account === account && one.livemode === (key === stripeKeys.live)));
  }

  function findSession(request: FastifyRequest): StoredObject {
    const { id } = request.params as { id: string };
    const held = visible(sessions, request).find(({ object, at = object.id }) => at === id);
    if (!held) throw missing(404, 'checkout.session', id, 'session');
    return held;
  }

  const lineItemsUrl = (id: string) => `/v1/checkout/sessions/${id}/line_items`;
  /** Stripe expands only the first ten line items. */
  function expanded({ object, lineItems }: StoredObject, isExpanded: boolean): StripeObject {
    if (!isExpanded) return object;
    return { ...object, line_items: pageOf(lineItems, {}, 'item', lineItemsUrl(object.id)) };
  }

  app.addHook('onRequest', async (request, reply) => {
    api.requests.push(decodeURIComponent(request.url));
    const { 'stripe-account': account, 'stripe-context': context } = request.headers;
    api.accounts.push({ account: account?.toString(), context: context?.toString() });
    const planned = failures.shift();
    if (planned) return fail(planned.failure, planned.retryAfter, request, reply);
    await api.before(request);
  });
  app.setErrorHandler((error, _request, reply) => {
    const { status, body } = error instanceof StripeProblem ? error : { status: 500, body: { message: String(error) } };
    return reply.code(status).send({ error: body });
  });

  app.get('/v1/checkout/sessions', async (request) => {
    const query = request.query as Query;
    const expand = valuesOf(query, 'expand');
    if (expand.some((path) => path !== 'data.line_items')) throw invalid('This property cannot be expanded', 'expand');
    const list = visible(sessions, request).filter((held) => isWithin(held, query) && isOf(held, query));
    const shown = list.map((held) => expanded(held, expand.length > 0));
    return pageOf(shown, query, 'checkout.session', '/v1/checkout/sessions');
  });
  app.get('/v1/checkout/sessions/:id', async (request) =>
    expanded(findSession(request), valuesOf(request.query as Query, 'expand').includes('line_items')),
  );
  app.get('/v1/checkout/sessions/:id/line_items', async (request) => {
    const { object, lineItems } = findSession(request);
    return pageOf(lineItems, request.query as Query, 'item', lineItemsUrl(object.id));
  });
  app.get('/v1/events', async (request) => {
    const query = request.query as Query;
    const types = [...valuesOf(query, 'types'), ...(query.type === undefined ? [] : [query.type].flat())];
    if (types.length > 20) throw invalid('At most 20 types.', 'types');
    const list = visible(events, request)
      .filter((held) => isWithin(held, query))
      .map(({ object }) => object)
      .filter(({ type }) => types.length === 0 || types.includes(String(type)));
    return pageOf(list, query, 'event', '/v1/events');
  });

  await app.listen({ host: '127.0.0.1', port: 0 });
  afterAll(() => app.close());
  const { port } = app.server.address() as AddressInfo;

  const api: StripeApi = {
    environment: {
      STRIPE_API_BASE: `http://127.0.0.1:${port}`,
      STRIPE_API_KEYS: stripeKeys.test,
    },
    requests: [],
    accounts: [],
    before: async () => {},
    putSession(session, { account = '', lineItems = [], at } = {}) {
      const held = {
        object: session,
        created: Number(session.created),
        livemode: session.livemode === true,
        account,
        lineItems,
        at,
      };
      const index = sessions.findIndex(({ object }) => object.id === session.id);
      if (index < 0) sessions.push(held);
      else sessions[index] = held;
    },
    removeSession(id) {
      const index = sessions.findIndex(({ object }) => object.id === id);
      if (index >= 0) sessions.splice(index, 1);
    },
    putEvent(event, account = '') {
      const object = event as unknown as StripeObject;
      events.push({ object, created: event.created, livemode: event.livemode, account, lineItems: [] });
    },
    fail(failure, { times = 1, after = 0, retryAfter } = {}) {
      failures.push(...Array(after).fill(undefined), ...Array(times).fill({ failure, retryAfter }));
    },
    reset() {
      for (const list of [sessions, events, failures, api.requests, api.accounts]) list.length = 0;
      api.before = async () => {};
    },
  };
  return api;
}

function fail(failure: Failure, retryAfter: number | undefined, request: FastifyRequest, reply: FastifyReply) {
  if (failure === 'silence' || failure === 'cut') {
    reply.hijack();
    if (failure === 'cut') request.raw.socket.destroy();
    return reply;
  }
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  if (typeof failure === 'string') {
    const { status, type, body } = foreignAnswers[failure];
    return reply.code(status).type(type).send(body);
  }
  return reply.code(failure).send({ error: problems[failure] });
}

/** Builds sessions one minute apart, oldest first. Their ids start with `cs_test_` and the name. */
export function manySessions(name: string, count: number, fields: Partial<RawSession> = {}): RawSession[] {
  return Array.from({ length: count }, (_, index) =>
    rawSession({
      id: `cs_test_${name}_${String(index).padStart(4, '0')}`,
      created: 1_769_860_800 + 60 * index,
      ...fields,
    }),
  );
}
