import Stripe from 'stripe';
import type { Config } from '../config.js';
import { OperatorError } from '../errors.js';
import { isAccountPath } from '../model/stripe.js';
import { accountToRead } from '../stripe/calls.js';
import { type StripeClient, stripeClients } from '../stripe/client.js';
import { type Progress, UsageError } from './command.js';

/** What the commands that read from Stripe have in common. */

/** The clients of the configured keys: at least one. */
function configuredClients(config: Config): StripeClient[] {
  const clients = stripeClients(config);
  if (clients.length > 0) return clients;
  throw new OperatorError('Set STRIPE_API_KEYS to a key of the Stripe API whose mode STRIPE_LIVEMODE takes in.');
}

/** A run's client, and the account that it reads: the key's own when undefined. */
export interface RunTarget {
  readonly client: StripeClient;
  readonly account: string | undefined;
}

/**
 * Returns what each configured key is to read.
 *
 * @param account the value of `--account`.
 */
export function runTargets(config: Config, account: string | undefined): RunTarget[] {
  if (account !== undefined && !isAccountPath(account)) {
    throw new UsageError("--account must be an account's id, acct_…, or the path to it, acct_…/acct_…");
  }
  return configuredClients(config).map((client) => ({
    client,
    account: accountToRead(client, account, config.STRIPE_ACCOUNT_ID),
  }));
}

/** Whose sessions a run reads, for its lines. */
export function runName({ client, account }: RunTarget): string {
  return account === undefined ? client.mode : `${client.mode} ${account}`;
}

/** Returns a failure of Stripe's in words, with its status, or with why Stripe could not be reached. */
function failureOf({ message, statusCode, detail }: InstanceType<typeof Stripe.errors.StripeError>): string {
  const cause = (detail as Error | undefined)?.message ?? (statusCode === undefined ? undefined : `HTTP ${statusCode}`);
  return [message, cause && `(${cause})`].filter(Boolean).join(' ');
}

/** Returns what tells the person at the terminal that a run waits for Stripe. */
export function retryReporter(name: string, progress: Progress): (error: Error, pause: number) => void {
  return (error, pause) => {
    progress.end();
    const reason = error instanceof Stripe.errors.StripeError ? failureOf(error) : error.message;
    process.stderr.write(`${name}: waits ${Math.ceil(pause / 1000)} s for Stripe: ${reason}\n`);
  };
}

/**
 * Does a run and prints what came of it, also when it fails. What Stripe refuses ends this run alone.
 *
 * @returns whether it did all that it was to do.
 */
export async function attempt<Totals extends object>(
  name: string,
  progress: Progress,
  work: (onPage: (totals: Totals) => void) => Promise<{ totals: Totals; isDone: boolean }>,
): Promise<boolean> {
  let last: Totals | undefined;
  try {
    const { totals, isDone } = await work((now) => {
      last = now;
      progress.report(`${name}: ${describe(now)}`);
    });
    progress.end();
    print(`${name}: ${describe(totals)}`);
    return isDone;
  } catch (error) {
    progress.end();
    print(last ? `${name}: not finished: ${describe(last)}` : `${name}: not finished: nothing was read`);
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    process.stderr.write(`${name}: Stripe: ${failureOf(error)}\nRun the same command again to go on.\n`);
    return false;
  }
}

/** One line, such as `pages 3, seen 250, applied 250`. */
function describe(totals: object): string {
  return Object.entries(totals)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
