import { describe, expect, test } from 'vitest';
import { proofRuns } from '../support/runs.js';
import { sessionBody, sessionsPath, startService } from '../support/service.js';
import { rawEvent, rawSession, signatureOf, webhookSecret } from '../support/stripe.js';
import { impossible, isSameState, linearize, nextTag, type Operation, partsOf, type State } from './history.js';

/** Number of sessions the clients compete for. PROOF_RUNS=500 takes some minutes. */
const rounds = proofRuns(6);
const clients = 6;
const turns = 8;

const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, MAX_EVENT_LOOP_DELAY_MS: '0' };
const first = await startService({ environment });
// A second replica, whose batches the first knows nothing about.
const second = await startService({ environment, database: first.database });

/** Returns a seeded random number generator (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

interface Answer {
  status: number;
  etag: string | null;
  body: { metadata?: Record<string, string>; outcome?: string };
}

/** One request of a client, and the rule that its answer must satisfy. */
interface Move {
  method: string;
  headers?: Record<string, string>;
  body?: unknown;
  apply: (answer: Answer, state: State | undefined) => State | undefined | typeof impossible;
}

const onlyIf = (holds: boolean, state: State | undefined) => (holds ? state : impossible);

/** Checks the answer of a write: its ETag must follow the previous one, or start a new row. */
function written(answer: Answer, state: State | undefined, metadata: Record<string, string>) {
  const { status, etag, body } = answer;
  if (etag === null) return impossible;
  const isNext = state ? status === 200 && etag === nextTag(state.etag) : status === 201 && partsOf(etag).version === 1;
  const after = { etag, metadata, second: state?.second };
  return isNext && isSameState(after, etag, body.metadata) ? after : impossible;
}

const matches = (state: State | undefined, tag: string | undefined) => tag === undefined || state?.etag === tag;

function put(id: string, token: string, tag: string | undefined): Move {
  const metadata = { put: token };
  return {
    method: 'PUT',
    headers: tag === undefined ? {} : { 'if-match': tag },
    body: sessionBody({ id, metadata }),
    apply(answer, state) {
      if (answer.status === 412) return onlyIf(!matches(state, tag), state);
      return matches(state, tag) ? written(answer, state, metadata) : impossible;
    },
  };
}

function putNew(id: string, token: string): Move {
  const move = put(id, token, undefined);
  return {
    ...move,
    headers: { 'if-none-match': '*' },
    apply: (answer, state) =>
      answer.status === 412 ? onlyIf(state !== undefined, state) : state ? impossible : move.apply(answer, state),
  };
}

function patch(token: string, tag: string | undefined): Move {
  return {
    method: 'PATCH',
    headers: tag === undefined ? {} : { 'if-match': tag },
    body: { metadata: { [token]: 'patched' } },
    apply(answer, state) {
      if (answer.status === 404) return onlyIf(tag === undefined && state === undefined, state);
      if (answer.status === 412) return onlyIf(tag !== undefined && !matches(state, tag), state);
      if (!state || !matches(state, tag)) return impossible;
      return written(answer, state, { ...state.metadata, [token]: 'patched' });
    },
  };
}

function remove(tag: string | undefined): Move {
  return {
    method: 'DELETE',
    headers: tag === undefined ? {} : { 'if-match': tag },
    apply({ status }, state) {
      if (status === 404) return onlyIf(tag === undefined && state === undefined, state);
      if (status === 412) return onlyIf(tag !== undefined && !matches(state, tag), state);
      return status === 204 && state && matches(state, tag) ? undefined : impossible;
    },
  };
}

/** Adds If-None-Match to a move. */
function withIfNoneMatch(move: Move, tag: string | undefined): Move {
  if (tag === undefined) return move;
  return {
    ...move,
    headers: { 'if-none-match': tag },
    apply(answer, state) {
      if (answer.status === 412) return onlyIf(state?.etag === tag, state);
      return state?.etag === tag ? impossible : move.apply(answer, state);
    },
  };
}

function read(tag: string | undefined): Move {
  return {
    method: 'GET',
    headers: tag === undefined ? {} : { 'if-none-match': tag },
    apply({ status, etag, body }, state) {
      if (status === 404) return onlyIf(state === undefined, state);
      if (status === 304) return onlyIf(state !== undefined && state.etag === tag, state);
      return onlyIf(status === 200 && etag !== tag && isSameState(state, etag, body.metadata), state);
    },
  };
}

function deliver(id: string, token: string, second: number): Move {
  const metadata = { event: token };
  const session = rawSession({ id, status: 'complete', payment_status: 'paid', metadata });
  const body = JSON.stringify(rawEvent(session, { id: `evt_${id}_${token}`, created: second }));
  return {
    method: 'EVENT',
    headers: { 'stripe-signature': signatureOf(body) },
    body,
    apply({ status, body: { outcome } }, state) {
      if (status !== 200) return impossible;
      // The session existed at the start, so a missing one was deleted.
      if (outcome === 'deleted') return onlyIf(state === undefined, state);
      const isNewer = state?.second === undefined || state.second < second;
      if (!state || isNewer !== (outcome === 'applied')) return impossible;
      return isNewer ? { etag: nextTag(state.etag), metadata, second } : state;
    },
  };
}

const create = (id: string, token: string): Move => {
  const { body, apply } = put(id, token, undefined);
  return {
    method: 'POST',
    body,
    apply: (answer, state) =>
      answer.status === 409 ? onlyIf(state !== undefined, state) : state ? impossible : apply(answer, state),
  };
};

async function send(url: string, id: string, { method, headers, body }: Move): Promise<Answer> {
  const paths: Record<string, string> = { POST: sessionsPath, EVENT: '/webhooks/stripe' };
  const response = await fetch(`${url}${paths[method] ?? `${sessionsPath}/${id}`}`, {
    method: method === 'EVENT' ? 'POST' : method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, etag: response.headers.get('etag'), body: text === '' ? {} : JSON.parse(text) };
}

/** Lets every client send its requests to one session, one after another. Returns all operations. */
async function compete(id: string, dice: (below: number) => number): Promise<Operation[]> {
  const operations: Operation[] = [];
  async function client(number: number): Promise<void> {
    const { url } = number % 2 === 0 ? first : second;
    let seen: string | undefined;
    for (let turn = 0; turn < turns; turn += 1) {
      const token = `${number}_${turn}`;
      const tag = dice(2) === 0 ? seen : undefined;
      const moves: (() => Move)[] = [
        ...[
          () => put(id, token, tag),
          () => patch(token, tag),
          () => withIfNoneMatch(put(id, token, undefined), seen),
          () => withIfNoneMatch(patch(token, undefined), tag),
          () => read(tag),
        ],
        ...[
          () => remove(tag),
          () => withIfNoneMatch(remove(undefined), seen),
          () => putNew(id, token),
          () => create(id, token),
        ],
        ...[() => deliver(id, token, 1_769_861_000 + dice(5) * 100 + number * turns + turn)],
      ];
      const move = (moves[dice(moves.length)] as () => Move)();
      const start = performance.now();
      const answer = await send(url, id, move);
      const end = performance.now();
      seen = answer.etag ?? seen;
      const label = `${start.toFixed(1)}–${end.toFixed(1)} ${number}: ${move.method} ${JSON.stringify(move.headers)} → ${JSON.stringify(answer)}`;
      operations.push({ label, start, end, apply: (state) => move.apply(answer, state) });
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return operations;
}

test('concurrent writers and readers of a session are linearizable', {
  timeout: 300_000 + rounds * 10_000,
}, async () => {
  const seed = Number(process.env.PROOF_SEED ?? Date.now() % 1e9);
  const dice = random(seed);
  let tried = 0;
  for (let round = 0; round < rounds; round += 3) {
    await Promise.all(
      Array.from({ length: 3 }, async () => {
        const body = sessionBody({ metadata: {} });
        const created = await first.api.post(sessionsPath).send(body).expect(201);
        const initial = { etag: created.headers.etag as string, metadata: {} };
        const operations = await compete(body.id, dice);
        tried += operations.length;
        const history = operations.map(({ label }) => label).sort();
        expect(linearize(operations, initial), `seed ${seed}\n${history.join('\n')}`).toBeDefined();
      }),
    );
  }
  console.info(`${tried} operations on ${rounds} sessions`);
});

describe('the linearizability check', () => {
  const initial = { etag: '"1-1"', metadata: {} };
  const operation = (start: number, end: number, move: Move, answer: Partial<Answer>): Operation => ({
    ...{ label: '', start, end },
    apply: (state) => move.apply({ status: 200, etag: null, body: {}, ...answer }, state),
  });
  const patched = (token: string, version: number, metadata: Record<string, string>, start: number, end = start + 10) =>
    operation(start, end, patch(token, undefined), { etag: `"1-${version}"`, body: { metadata } });

  test('finds the order that explains a history', () => {
    const a = patched('a', 3, { a: 'patched', b: 'patched' }, 0);
    const b = patched('b', 2, { b: 'patched' }, 5);
    expect(linearize([a, b], initial)).toEqual([b, a]);
  });

  test.each<[string, Operation[]]>([
    ['a lost write', [patched('a', 2, { a: 'patched' }, 0), patched('b', 3, { b: 'patched' }, 20)]],
    ['two writes with one ETag', [patched('a', 2, { a: 'patched' }, 0), patched('b', 2, { b: 'patched' }, 0)]],
    [
      'an order that contradicts the clock',
      [patched('a', 3, { a: 'patched', b: 'patched' }, 0), patched('b', 2, { b: 'patched' }, 20)],
    ],
    [
      'a stale read',
      [
        patched('a', 2, { a: 'patched' }, 0),
        operation(20, 30, read(undefined), { etag: '"1-1"', body: { metadata: {} } }),
      ],
    ],
    [
      'a delete with an outdated ETag',
      [patched('a', 2, { a: 'patched' }, 0), operation(20, 30, remove('"1-1"'), { status: 204 })],
    ],
    [
      'a delete without effect',
      [
        operation(0, 10, remove(undefined), { status: 204 }),
        operation(20, 30, read(undefined), { etag: '"1-1"', body: { metadata: {} } }),
      ],
    ],
    [
      'an event applied to a deleted session',
      [
        operation(0, 10, remove(undefined), { status: 204 }),
        operation(20, 30, deliver('cs_1', 'a', 1), { body: { outcome: 'applied' } }),
      ],
    ],
  ])('rejects %s', (_, operations) => {
    expect(linearize(operations, initial)).toBeUndefined();
  });
});
