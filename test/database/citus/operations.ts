import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import pino from 'pino';
import { expect } from 'vitest';
import type { Database, Statement } from '../../../src/database/engine/database.js';
import { stripeEventStore } from '../../../src/database/events.js';
import { removeOldEvents } from '../../../src/database/retention.js';
import { sessionsWithoutItems } from '../../../src/database/sessions/line-items.js';
import { mirrorStore } from '../../../src/database/sessions/mirror.js';
import { sessionStore } from '../../../src/database/sessions/store.js';
import { createIngest } from '../../../src/stripe/ingest.js';
import { eraseSessions } from '../../../src/transfer/erase.js';
import { exportLines } from '../../../src/transfer/export.js';
import { importEntries, newTotals } from '../../../src/transfer/import.js';
import { readEntries } from '../../../src/transfer/import-file.js';
import { restoringMirror } from '../../../src/transfer/restore.js';
import { transferStore } from '../../../src/transfer/store.js';
import { type Service, sessionBody, sessionsPath } from '../../support/service.js';
import { rawEvent, rawSession, signatureOf } from '../../support/stripe.js';

/** Runs every operation of the service that has its own SQL statement. */

const eightIndexes = Array.from({ length: 8 }, (_, index) => index);
const lineItems = { object: 'list', data: [], has_more: false };
const log = pino({ level: 'silent' });

/** Minimum milliseconds of a statement, so that requests gather into a batch meanwhile. */
const delay = 3;

/** Wraps a database to record its statements. `refuses` returns an error for each statement that should fail. */
export function recording(database: Database, refuses: (statement: Statement) => Error | undefined) {
  const statements: Statement[] = [];
  const recorded =
    (query: Database['query']): Database['query'] =>
    async (statement) => {
      statements.push(statement);
      const refusal = refuses(statement);
      if (refusal) throw refusal;
      await setTimeout(delay);
      return query(statement);
    };
  return {
    statements,
    database: {
      ...database,
      query: recorded(database.query),
      probe: recorded(database.probe),
      transaction: <Result>(work: (query: Database['query']) => Promise<Result>) =>
        database.transaction((query) => work(recorded(query))),
    },
  };
}

type App = Pick<Service, 'app'>['app'];

/** Calls every route that queries the database, with single and concurrent requests. */
export async function callRoutes(app: App): Promise<void> {
  const { ask, all } = requestsTo(app);
  for (const path of ['/health/ready', '/metrics', '/api/enums']) await ask('GET', path);
  for (const query of ['', '?livemode=false']) await ask('GET', `/api/statistics/daily${query}`);
  await writeSessions(ask, all);
  await deliverEvents(ask, all);
  await readLists(ask, all);
  await readAsStripe(ask, all);
}

type Ask = ReturnType<typeof requestsTo>['ask'];
type All = ReturnType<typeof requestsTo>['all'];
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Sends requests within this process, so that the requests of one event-loop turn reach the service together. */
function requestsTo(app: App) {
  async function ask(method: Method, url: string, body?: object | string, headers: Record<string, string> = {}) {
    const answer = await app.inject({ method, url, headers, ...(body !== undefined && { payload: body }) });
    expect([200, 201, 204, 404], `${method} ${url}: ${answer.body}`).toContain(answer.statusCode);
    return answer;
  }
  const all = (request: (index: number) => Promise<unknown>) => Promise.all(eightIndexes.map(request));
  return { ask, all };
}

async function writeSessions(ask: Ask, all: All): Promise<void> {
  const bodies = eightIndexes.map(() => sessionBody({ customer: 'cus_1', metadata: { order: '1' } }));
  const pathOf = (index: number) => `${sessionsPath}/${bodies[index]?.id}`;
  const first = bodies[0] as (typeof bodies)[0];
  const path = pathOf(0);
  await ask('POST', sessionsPath, first);
  await ask('PUT', path, first);
  const { headers } = await ask('PATCH', path, { description: 'd', metadata: { order: '2' } });
  await ask('PUT', path, first, { 'if-match': String(headers.etag) });
  await ask('PATCH', path, {});
  for (const part of ['', '?include=payment', '/payment', '/stripe-data']) await ask('GET', `${path}${part}`);
  await ask('DELETE', path);
  await ask('POST', sessionsPath, first);
  await all((index) => ask('POST', sessionsPath, sessionBody({ description: String(index) })));
  await all((index) => ask('PUT', pathOf(index), bodies[index]));
  await all((index) => ask('PUT', pathOf(index), bodies[index]));
  await all((index) => ask('PATCH', pathOf(index), { metadata: { a: null } }));
  await all((index) => ask('GET', pathOf(index)));
  await all((index) => ask('DELETE', `${sessionsPath}/cs_test_none_${index}`));
}

async function deliverEvents(ask: Ask, all: All): Promise<void> {
  const objects = eightIndexes.map((index) => {
    return rawSession({ id: `cs_test_event_${index}`, customer: 'cus_1', line_items: lineItems });
  });
  const deliver = (event: object) => {
    const payload = JSON.stringify(event);
    const headers = { 'content-type': 'application/json', 'stripe-signature': signatureOf(payload) };
    return ask('POST', '/webhooks/stripe', payload, headers);
  };
  const send = (index: number) => deliver(rawEvent(objects[index] as (typeof objects)[0]));
  await send(0);
  await all(send);
  // The older event carries an account that the newer one lacks.
  const gap = (index: number) => rawSession({ id: `cs_test_gap_${index}`, line_items: lineItems });
  const newer = (index: number) => rawEvent(gap(index), { created: 1_769_862_000 });
  const older = (index: number) => rawEvent(gap(index), { account: 'acct_1' });
  await all((index) => deliver(newer(index)));
  await deliver(older(0));
  await all((index) => deliver(older(index)));
  await ask('GET', '/api/stripe-events?count=exact&limit=2');
  await ask('GET', '/api/stripe-events?session_id=cs_test_event_0');
}

/** Reads each list often enough to keep its statement prepared, then eightIndexes times at once. */
async function readLists(ask: Ask, all: All): Promise<void> {
  const queries = [
    ...['', 'count=exact', 'count=estimated', 'include=payment', 'limit=2&ordering=-id', 'ordering=djstripe_updated'],
    ...[
      'customer=cus_1',
      'customer__in=cus_1,cus_2',
      'email=a@example.com',
      'created__isnull=true',
      'metadata[order]=1',
    ],
    ...['payment_method_types__contains=card', 'id__startswith=cs_', 'description__icontains=d', 'status=complete'],
    ...['invoice=in_1', 'payment_link__isnull=false', 'created__gt=2026-01-01', 'customer_email__iexact=A'],
  ];
  for (const query of queries) {
    for (let use = 0; use < 6; use += 1) await ask('GET', `${sessionsPath}?${query}`);
    await all(() => ask('GET', `${sessionsPath}?${query}`));
  }
  const page = await ask('GET', `${sessionsPath}?limit=2`);
  const { pathname, search } = new URL(page.json().next);
  await ask('GET', `${pathname}${search}`);
}

async function readAsStripe(ask: Ask, all: All): Promise<void> {
  const path = '/v1/checkout/sessions';
  await all((index) => ask('GET', `${path}/cs_test_event_${index}`));
  await ask('GET', `${path}/cs_test_event_1?expand[]=line_items`);
  await ask('GET', `${path}/cs_test_unknown`);
  const queries = [
    ...[
      '',
      'customer=cus_1',
      'customer_details[email]=a@example.com',
      'status=open&created[gte]=1',
      'payment_intent=pi_1',
    ],
    ...['subscription=sub_1', 'payment_link=plink_1', 'customer_account=acct_1', 'expand[]=data.line_items'],
    ...['limit=2&starting_after=cs_test_event_3', 'limit=2&ending_before=cs_test_event_3'],
  ];
  for (const query of queries) for (let use = 0; use < 6; use += 1) await ask('GET', `${path}?${query}`);
}

/** Runs the statements of the command line and of the background schedule. */
export async function runCommands(database: Database): Promise<void> {
  const lines: string[] = [];
  for (const full of [false, true]) {
    await exportLines(database, { full }, async (page) => void lines.push(...page.lines));
  }
  for (const restore of [false, true]) {
    const mirror = (restore ? restoringMirror : mirrorStore)(database);
    const raw = JSON.stringify(rawSession({ id: `cs_test_import_${restore}` }));
    await importEntries(
      readEntries(Readable.from([Buffer.from([...lines, raw].join('\n'))]), 'lines', {
        account: undefined,
        acceptsMode: () => true,
        onProjection: () => {},
      } as never),
      {
        ingest: createIngest(mirror, { STRIPE_LIVEMODE: 'both' }, log),
        transfer: transferStore(database),
        ...{ restore, totals: newTotals(), onFault: () => {}, onProgress: () => {} },
      },
    );
  }
  const person = { customer: 'cus_1', email: 'a@example.com' };
  for (const dryRun of [true, false]) for await (const page of eraseSessions(database, person, { dryRun })) void page;
  const events = stripeEventStore(database);
  await removeOldEvents(database, 90);
  await events.newestAge();
  await events.hasAny('cs_test_event_0', ['evt_1']);
  await sessionsWithoutItems(database, { over: 60, upTo: 3600 });
  await sessionStore(database).accountOf('cs_test_event_0');
}
