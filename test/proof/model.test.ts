import fc from 'fast-check';
import { expect, test } from 'vitest';
import { proofRuns } from '../support/runs.js';
import { startService } from '../support/service.js';
import { webhookSecret } from '../support/stripe.js';
import { startStripeApi, stripeKeys } from '../support/stripe-api.js';
import { Driver } from './model/driver.js';
import { endOfFeed, expectFeed } from './model/feed.js';
import { anyRequest, ids } from './model/requests.js';

/** Number of random sequences. PROOF_RUNS=700 sends about 20,000 requests. */
const runs = proofRuns(12);
const timeout = 300_000 + runs * 10_000;

const stripe = await startStripeApi();
const { url, database } = await startService({
  environment: {
    ...stripe.environment,
    STRIPE_API_KEYS: `${stripeKeys.test},${stripeKeys.live}`,
    STRIPE_WEBHOOK_SECRETS: webhookSecret,
    MAX_EVENT_LOOP_DELAY_MS: '0',
  },
});

/** Keeps the account known to Stripe while it has none of the sessions under test. */
stripe.putSession({ id: 'cs_of_the_account', livemode: false }, { account: 'acct_1' });
stripe.putSession({ id: 'cs_live_of_the_account', livemode: true }, { account: 'acct_1' });

const tables = ['checkout_session', 'stripe_event'];

test('the service answers any sequence of requests as the model of the contract does', { timeout }, async () => {
  let requests = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyRequest, { minLength: 1, maxLength: 40, size: 'max' }), async (sequence) => {
      for (const table of tables) await database.query({ text: `DELETE FROM ${table}`, values: [] });
      const cursor = await endOfFeed(url);
      const driver = new Driver(url, stripe);
      try {
        for (const request of sequence) await driver.run(request);
        for (const id of ids) await driver.expectStored(id);
        const held = [...driver.mirror.sessions].map(([id, { etag }]) => [id, etag] as const);
        await expectFeed(url, cursor, new Map(held));
      } finally {
        requests += driver.requests;
      }
    }),
    { numRuns: runs, ...(process.env.PROOF_SEED && { seed: Number(process.env.PROOF_SEED) }) },
  );
  expect(requests).toBeGreaterThan(runs);
  console.info(`${requests} requests in ${runs} sequences`);
});
