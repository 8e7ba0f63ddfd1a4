import pino from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config.js';
import { mirrorStore } from '../../src/database/sessions/mirror.js';
import { backfill } from '../../src/stripe/backfill.js';
import { catchUp } from '../../src/stripe/catch-up.js';
import { type StripeClient, stripeClients } from '../../src/stripe/client.js';
import { createIngest } from '../../src/stripe/ingest.js';
import { processDatabase } from '../support/database.js';
import { runWarmCommand } from '../support/process.js';
import { expectProblem, sessionsPath, startService } from '../support/service.js';
import { deliver, rawEvent, rawSession, webhookSecret } from '../support/stripe.js';
import { startStripeApi, stripeKeys } from '../support/stripe-api.js';

const stripe = await startStripeApi();
const organization = { ...stripe.environment, STRIPE_API_KEYS: stripeKeys.organization };
const environment = { STRIPE_WEBHOOK_SECRETS: webhookSecret, ...organization };
const own = { STRIPE_ACCOUNT_ID: 'acct_Own' };
const { api, database } = await startService({ environment: { ...environment, ...own } });
const config = parseConfig(organization);
const [client] = stripeClients(config) as [StripeClient];
const ingest = createIngest(mirrorStore(database), config, pino({ level: 'silent' }));

beforeEach(() => stripe.reset());

let number = 0;
function newId(): string {
  number += 1;
  return `cs_test_org_${number}`;
}

async function ownerOf(id: string): Promise<string | null> {
  return (await api.get(`${sessionsPath}/${id}`).expect(200)).body.djstripe_owner_account;
}

const path = 'acct_Member/acct_Connected';
const contexts = (...list: string[]) => list.map((context) => ({ account: undefined, context }));

describe('the owner of a session from an event is', () => {
  test.each([
    ["the event's context", { context: 'acct_Member' }, 'acct_Member'],
    ["the last account of the context's path", { context: path }, 'acct_Connected'],
    ["the event's account when it has both", { account: 'acct_Connected', context: 'acct_Member' }, 'acct_Connected'],
    ['the configured account when the event has neither', {}, 'acct_Own'],
    ['the configured account when the context names no account', { context: 'org_6' }, 'acct_Own'],
    ['the configured account when both are null', { account: null, context: null }, 'acct_Own'],
  ])('%s', async (_, fields, owner) => {
    const id = newId();
    await deliver(api, { ...rawEvent(rawSession({ id })), ...fields }).expect(200, { outcome: 'applied', session: id });
    expect(await ownerOf(id)).toBe(owner);
    const { body } = await api.get(`/api/stripe-events?session_id=${id}`).expect(200);
    expect(body.results[0].account).toBe(owner === 'acct_Own' ? null : owner);
  });
});

describe("with an organization's key", () => {
  test('a refresh sends the known, given or configured account in Stripe-Context', async () => {
    const [known, given, configured] = [newId(), newId(), newId()];
    stripe.putSession(rawSession({ id: known }), { account: 'acct_Member' });
    stripe.putSession(rawSession({ id: given }), { account: path });
    stripe.putSession(rawSession({ id: configured }), { account: 'acct_Own' });
    await deliver(api, { ...rawEvent(rawSession({ id: known })), context: 'acct_Member' }).expect(200);
    await api.post(`${sessionsPath}/${known}/refresh`).expect(200);
    await api.post(`${sessionsPath}/${given}/refresh?account=${path}`).expect(200);
    await api.post(`${sessionsPath}/${configured}/refresh`).expect(200);
    expect(stripe.accounts).toEqual(contexts('acct_Member', path, 'acct_Own'));
    expect(await ownerOf(given)).toBe('acct_Connected');
    expect(await ownerOf(configured)).toBe('acct_Own');
  });

  test('a refresh without an account is 503 and names STRIPE_ACCOUNT_ID', async () => {
    const unknown = await startService({ environment, database });
    const answer = await unknown.api.post(`${sessionsPath}/${newId()}/refresh`);
    const problem = expectProblem(answer, 503, 'stripe-not-configured');
    expect(problem.detail).toMatch(/organization.*account.*STRIPE_ACCOUNT_ID/);
    expect(stripe.requests).toEqual([]);
    for (const account of ['acct_A/', '/acct_A', 'acct_A//acct_B', 'org_1/acct_A']) {
      const refused = await unknown.api.post(`${sessionsPath}/${newId()}/refresh`).query({ account });
      expectProblem(refused, 400, 'invalid-request');
    }
  });

  test('a thin event is fetched with its whole context', async () => {
    const id = newId();
    stripe.putSession(rawSession({ id }), { account: path });
    const event = {
      ...{ id: `evt_test_${id}`, object: 'v2.core.event', type: 'v1.checkout.session.completed', livemode: false },
      ...{ created: '2026-11-28T15:20:00.000Z', context: path, related_object: { id, type: 'checkout.session' } },
    };
    await deliver(api, event).expect(200, { outcome: 'applied', session: id });
    expect(stripe.accounts).toEqual(contexts(path));
    expect(await ownerOf(id)).toBe('acct_Connected');
  });

  test('backfill and catch-up send the account and make it the owner', async () => {
    const [listed, happened] = [newId(), newId()];
    stripe.putSession(rawSession({ id: listed }), { account: path });
    const created = Math.floor(Date.now() / 1000) - 60;
    stripe.putEvent(rawEvent(rawSession({ id: happened }), { created }), path);
    const run = { client, account: path, retries: 0, database, ingest };
    expect(await backfill(run)).toMatchObject({ applied: 1 });
    expect(await catchUp(run)).toMatchObject({ applied: 1 });
    expect(stripe.accounts).toEqual(contexts(path, path));
    for (const id of [listed, happened]) expect(await ownerOf(id)).toBe('acct_Connected');
  });
});

// Every command opens the database, which takes seconds on the embedded one.
describe("the commands with an organization's key", { timeout: 120_000 }, async () => {
  const commands = await processDatabase();
  const command = (name: string, args: string[], more: Record<string, string> = {}) =>
    runWarmCommand(name, args, { ...commands.environment, ...organization, ...more });

  test.each(['backfill', 'catch-up'])('%s without an account exits with 1 and says so in one line', async (name) => {
    const { code, stderr } = await command(name, []);
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(/organization.*--account.*STRIPE_ACCOUNT_ID/)]);
    expect(stripe.requests).toEqual([]);
  });

  test('backfill uses the configured account, or the path in --account', async () => {
    stripe.putSession(rawSession({ id: newId() }), { account: 'acct_Own' });
    stripe.putSession(rawSession({ id: newId() }), { account: path });
    const configured = await command('backfill', [], own);
    expect(configured.stdout).toContain('test acct_Own: pages 1, seen 1, applied 1');
    const given = await command('backfill', ['--account', path], own);
    expect(given.stdout).toContain(`test ${path}: pages 1, seen 1, applied 1`);
    expect(stripe.accounts).toEqual(contexts('acct_Own', path));
    expect((await command('backfill', ['--account', 'Own'], own)).code).toBe(2);
  });
});
