import Stripe from 'stripe';
import type { Config } from '../config.js';
import { trialSecret } from '../config-secrets.js';
import { OperatorError } from '../errors.js';
import type { outcomes } from '../model/stripe.js';
import { modeOfKey } from '../stripe/client.js';
import { runProgram, UsageError } from './command.js';
import { type SampleEvent, sampleEvents } from './sample-events.js';

/** `npm run try-webhook` opens no database, because the running service may hold the embedded one. */

const help = `Signs one sample event of each type, and posts it to a running service as Stripe would.

  npm run try-webhook -- [--url URL] [--new]

  --url URL  address of the service; http://127.0.0.1:3000 when absent, with the PORT of the environment
  --new      give the events and sessions new ids, so that each event is applied again

Start the service with a signing secret first. Any text that begins with whsec_ is one:

  STRIPE_WEBHOOK_SECRETS=${trialSecret} npm start

This command signs with the first secret in STRIPE_WEBHOOK_SECRETS, or with ${trialSecret} when there is none. Anyone can
sign with ${trialSecret}: do not use it where others can reach the service.

It needs no Stripe account. The sessions are test sessions (livemode false) with ids that begin with cs_test_sample_.
Without --new a second run answers duplicate, as when Stripe repeats a delivery. The command refuses to run where
STRIPE_API_KEYS holds a live key or STRIPE_LIVEMODE is live. Remove a sample session with
curl -X DELETE URL/api/checkout-sessions/ID.

The exit code is 0 when the service stored every event or has it already, 1 when not, 2 when the call was wrong.
`;

const options = {
  url: { type: 'string' },
  new: { type: 'boolean' },
} as const;

interface Answer {
  readonly outcome: (typeof outcomes)[number];
}

/** Sends the samples. Returns the exit code. */
async function sendSamples(config: Config, url: string, suffix: string): Promise<number> {
  const secret = config.STRIPE_WEBHOOK_SECRETS[0] ?? trialSecret;
  const events = sampleEvents(Math.floor(Date.now() / 1000), suffix);
  const stored: SampleEvent[] = [];
  for (const event of events) {
    const { outcome } = await deliver(url, event, secret);
    print(`${outcome.padEnd(10)} ${event.type.padEnd(41)} ${event.data.object.id}\n`);
    if (outcome !== 'ignored' && outcome !== 'deleted') stored.push(event);
  }
  if (stored[0]) print(howToRead(url, stored[0]));
  return stored.length === events.length ? 0 : 1;
}

/** @throws OperatorError where this environment belongs to a service with real payments. */
function refuseLive({ STRIPE_API_KEYS, STRIPE_LIVEMODE }: Config): void {
  const hasLiveKey = STRIPE_API_KEYS.some((key) => modeOfKey(key) === 'live');
  if (!hasLiveKey && STRIPE_LIVEMODE !== 'live') return;
  const reason = hasLiveKey ? 'STRIPE_API_KEYS holds a live key' : 'STRIPE_LIVEMODE is live';
  throw new OperatorError(`${reason}: a live service gets no sample events.`);
}

/** Returns a base URL without the slash at its end. */
function addressOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(`--url must be an address such as http://127.0.0.1:3000, not ${JSON.stringify(text)}.`);
  }
  return text.replace(/\/+$/, '');
}

/** Posts an event with the signature that Stripe would give it. */
async function deliver(url: string, event: SampleEvent, secret: string): Promise<Answer> {
  const payload = JSON.stringify(event);
  const signature = new Stripe('sk_test_unused').webhooks.generateTestHeaderString({ payload, secret });
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature },
    body: payload,
    redirect: 'manual' as const,
    signal: AbortSignal.timeout(30_000),
  };
  const response = await fetch(`${url}/webhooks/stripe`, request).catch((error: Error) => {
    const cause = (error.cause as Error | undefined)?.message || error.message;
    throw new OperatorError(
      `No service answers at ${url} (${cause}).\n` +
        `Start it with STRIPE_WEBHOOK_SECRETS=${trialSecret} npm start, or say where it is with --url.`,
    );
  });
  const text = await response.text();
  const answer = isJson(response) ? JSON.parse(text) : {};
  if (response.ok && typeof answer.outcome === 'string') return answer;
  throw new OperatorError(`${url}/webhooks/stripe answers ${response.status}: ${explain(answer)}`);
}

function isJson({ headers }: Response): boolean {
  return /^application\/(problem\+)?json/.test(headers.get('content-type') ?? '');
}

/** Explains why the service refused an event, and what to do. */
function explain({ type, title, detail }: { type?: string; title?: string; detail?: string }): string {
  const reason = detail ?? title ?? 'this is no Checkout Session Service.';
  if (type === 'urn:problem:stripe-not-configured') {
    return `${reason}\nTo try it, start the service with STRIPE_WEBHOOK_SECRETS=${trialSecret} npm start.`;
  }
  if (type === 'urn:problem:invalid-signature') {
    return `${reason}\nGive this command the STRIPE_WEBHOOK_SECRETS that the service has.`;
  }
  return reason;
}

function howToRead(url: string, { data }: SampleEvent): string {
  return `
Did the customer pay? Ask for any of these ids, with -H "Authorization: Bearer KEY" if the service has keys:
  curl ${url}/api/checkout-sessions/${data.object.id}/payment

`;
}

function print(text: string): void {
  process.stdout.write(text);
}

// The reader of a pipe, such as `head`, may close it early. That is no fault to report.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));

await runProgram({ help, options }, async ({ config, values }) => {
  refuseLive(config);
  const url = addressOf(values.url ?? `http://127.0.0.1:${config.PORT}`);
  return sendSamples(config, url, values.new ? `_${Date.now().toString(36)}` : '');
});
