/** Stripe's own SDKs, unmodified, from their registries. Each reads sessions from the service in place of Stripe. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Stripe from 'stripe';
import { adapted, expectSession, stripeExamples } from '../../support/examples.mjs';
import { deliver, eventOf } from '../lib/delivery.mjs';
import { cachedFolder, emptyFolder, python, pythonEnvironment, run } from '../lib/program.mjs';
import { startService } from '../lib/service.mjs';
import { clientFile } from './files.mjs';

const pythonVersion = '16.1.0';
const cliVersion = '1.52.0';

/** @typedef {import('../lib/service.mjs').Environment} Environment */

/** @type {Record<string, unknown>} */
const session = {
  object: 'checkout.session',
  ...{ amount_subtotal: 2000, amount_total: 2198, currency: 'usd', livemode: false, mode: 'payment' },
  ...{ status: 'complete', payment_status: 'paid', payment_method_types: ['card'], metadata: {}, url: null },
  ...{ automatic_tax: { enabled: false, liability: null, provider: null, status: null }, custom_fields: [] },
  custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
  ...{ created: 1_769_860_800, expires_at: 1_769_947_200, shipping_options: [], customer: null },
};

/** The session that the examples of docs/stripe-sdks.md read. */
const sampleId = 'cs_test_sample_paid';

const item = {
  object: 'item',
  ...{ amount_discount: 0, amount_subtotal: 100, amount_tax: 0, amount_total: 100, currency: 'usd', quantity: 1 },
};

/** Delivers 250 sessions of one customer, and one with 23 line items. @param {Environment} environment */
async function seed({ BASE_URL }) {
  const paged = Array.from({ length: 250 }, (_, index) => ({
    ...session,
    ...{ id: `cs_test_paged_${index}`, customer: 'cus_paged', created: 1_769_860_800 + Math.floor(index / 3) },
  }));
  const data = Array.from({ length: 23 }, (_, index) => ({ ...item, id: `li_${index}` }));
  const line_items = { object: 'list', data, has_more: false, url: '/v1/checkout/sessions/cs_test_items/line_items' };
  for (const object of [...paged, { ...session, id: sampleId }, { ...session, id: 'cs_test_items', line_items }]) {
    await deliver(BASE_URL, eventOf(`evt_${object.id}`, object, { created: 1_769_861_000 }));
  }
}

/**
 * Runs a program for its reads, and then for each failure that an SDK must throw. On the embedded database, a service neither
 * sheds load nor loses its database.
 *
 * @param {Environment} environment
 * @param {(environment: Record<string, string>) => Promise<unknown>} program
 */
async function readsAndFailures(environment, program) {
  await seed(environment);
  await program({ ...environment, EXPECT: 'reads' });
  const limited = await startService({ RATE_LIMIT_PER_MINUTE: '1' });
  await program({ ...limited.environment, EXPECT: 'rate limit' }).finally(limited.stop);
  if (!process.env.TEST_DATABASE_URL) return;
  const overloaded = await startService({ MAX_EVENT_LOOP_DELAY_MS: '1' });
  const release = await stutter(overloaded);
  await program({ ...overloaded.environment, EXPECT: 'unavailable' })
    .finally(release)
    .finally(overloaded.stop);
  const stranded = await startService();
  await stranded.dropDatabase();
  await program({ ...stranded.environment, EXPECT: 'unavailable' }).finally(stranded.stop);
}

/**
 * Stops a service again and again for 100 ms, so that its event loop lags.
 *
 * @param {import('../lib/service.mjs').Service} service
 * @returns {Promise<() => void>} a function that lets it run again
 */
async function stutter(service) {
  let isStopped = false;
  const timer = setInterval(() => {
    isStopped = !isStopped;
    service.kill(isStopped ? 'SIGSTOP' : 'SIGCONT');
  }, 100);
  // The service measures the delay of its event loop every two seconds.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  return () => {
    clearInterval(timer);
    service.kill('SIGCONT');
  };
}

/** @type {import('./main.mjs').Client[]} */
export const stripeSdks = [
  {
    name: `Stripe for Node, ${Stripe.PACKAGE_VERSION}`,
    needs: [],
    test: (environment) =>
      readsAndFailures(environment, (env) => run(process.execPath, [clientFile('stripe/node.mjs')], { env })),
  },
  {
    name: `Stripe for Python, ${pythonVersion}`,
    needs: [python],
    test: async (environment) => {
      const program = await pythonEnvironment(`stripe-${pythonVersion}`, [`stripe==${pythonVersion}`]);
      await readsAndFailures(environment, (env) => run(program('python'), [clientFile('stripe/python.py')], { env }));
      const example = adapted(stripeExamples.python ?? '', environment);
      expectSession(await run(program('python'), ['-c', `${example}\nprint(session.id)`]), sampleId);
    },
  },
  {
    name: 'Stripe for Rust, async-stripe 1.0.0-rc.10',
    needs: ['cargo'],
    test: async (environment) => {
      await seed(environment);
      const crate = await emptyFolder('stripe-rust');
      await cp(clientFile('stripe/rust'), crate, { recursive: true });
      const example = adapted(stripeExamples.rust ?? '', environment);
      await writeFile(
        join(crate, 'src', 'example.rs'),
        `use stripe_checkout::checkout_session::RetrieveCheckoutSession;

pub async fn run() -> Result<(), stripe::StripeError> {
    ${example}
    assert_eq!(session.id.to_string(), "${sampleId}");
    Ok(())
}
`,
      );
      const CARGO_TARGET_DIR = await cachedFolder('stripe-rust-target', async () => {});
      await run('cargo', ['run', '--quiet'], { cwd: crate, env: { ...environment, CARGO_TARGET_DIR } });
    },
  },
  {
    name: `Stripe CLI, ${cliVersion}`,
    needs: ['npm'],
    test: async (environment) => {
      await seed(environment);
      const folder = await cachedFolder(`stripe-cli-${cliVersion}`, async (directory) => {
        await writeFile(join(directory, 'package.json'), '{"private":true}');
        await run('npm', ['install', '--ignore-scripts', '--no-audit', `@stripe/cli@${cliVersion}`], {
          cwd: directory,
        });
      });
      const stripe = (/** @type {string[]} */ ...args) =>
        run(join(folder, 'node_modules', '.bin', 'stripe'), [
          ...args,
          ...['--api-key', environment.STRIPE_KEY, '--api-base', environment.BASE_URL],
        ]);
      const retrieved = JSON.parse(await stripe('get', '/v1/checkout/sessions/cs_test_items'));
      if (retrieved.amount_total !== 2198) throw new Error(`the session is ${JSON.stringify(retrieved)}`);
      const ids = new Set();
      for (let after = /** @type {string[]} */ ([]), more = true; more; ) {
        const text = await stripe(
          'get',
          '/v1/checkout/sessions',
          '--limit',
          '100',
          '-d',
          'customer=cus_paged',
          ...after,
        );
        const page = JSON.parse(text);
        for (const { id } of page.data) ids.add(id);
        more = page.has_more;
        after = ['--starting-after', page.data.at(-1).id];
      }
      if (ids.size !== 250) throw new Error(`the pages have ${ids.size} sessions, not 250`);
    },
  },
];
