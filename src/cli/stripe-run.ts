import Stripe from 'stripe';
import type { Config } from '../config.js';
import { OperatorError } from '../errors.js';
import { isAccountPath } from '../model/stripe.js';
import { accountToRead } from '../stripe/calls.js';
import { type StripeClient, stripeClients } from '../stripe/client.js';
import { type Progress, UsageError } from './command.js';

/** Parts that the commands which read from Stripe share. */

/**
 * Returns a client for each configured key.
 *
 * @throws OperatorError when there is none.
 */
function configuredClients(config: Config): StripeClient[] {
  const clients = stripeClients(config);
  if (clients.length > 0) return clients;
  throw new OperatorError('Set STRIPE_API_KEYS to a Stripe API key of a mode that STRIPE_LIVEMODE accepts.');
}

/** The client of a run and the account that it reads. Undefined means the key's own account. */
export interface RunTarget {
  readonly client: StripeClient;
  readonly account: string | undefined;
}

/**
 * Returns the run target of each configured key.
 *
 * @param account the value of `--account`.
 * @throws UsageError when it is neither an account id nor a path to one.
 */
export function runTargets(config: Config, account: string | undefined): RunTarget[] {
  if (account !== undefined && !isAccountPath(account)) {
    throw new UsageError('--account must be an account id, acct_…, or a path to one, acct_…/acct_….');
  }
  return configuredClients(config).map((client) => ({
    client,
    account: accountToRead(client, account, config.STRIPE_ACCOUNT_ID),
  }));
}

/** Returns the name of a run in its output: the mode and the account. */
export function runName({ client, account }: RunTarget): string {
  return account === undefined ? client.mode : `${client.mode} ${account}`;
}

/** Describes a Stripe error: its message, then the cause of a failed connection or else the HTTP status. */
function failureOf({ message, statusCode, detail }: InstanceType<typeof Stripe.errors.StripeError>): string {
  const cause = (detail as Error | undefined)?.message ?? (statusCode === undefined ? undefined : `HTTP ${statusCode}`);
  return [message, cause && `(${cause})`].filter(Boolean).join(' ');
}

/** Returns an `onRetry` callback that prints how long the run waits and why. */
export function retryReporter(name: string, progress: Progress): (error: Error, pause: number) => void {
  return (error, pause) => {
    progress.clear();
    const reason = error instanceof Stripe.errors.StripeError ? failureOf(error) : error.message;
    process.stderr.write(`${name}: retries Stripe in ${Math.ceil(pause / 1000)} s: ${reason}\n`);
  };
}

/**
 * Does a run, and prints its totals, also when it fails. A Stripe error ends this run only; another error is thrown on.
 *
 * @returns whether the run is done, with nothing left to do.
 */
export async function runAndReport<Totals extends object>(
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
    progress.clear();
    print(`${name}: ${describe(totals)}`);
    return isDone;
  } catch (error) {
    progress.clear();
    print(last ? `${name}: not finished: ${describe(last)}` : `${name}: not finished: nothing was read`);
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    process.stderr.write(`${name}: Stripe: ${failureOf(error)}\nRun the same command again to resume.\n`);
    return false;
  }
}

/** Formats totals as one line, such as `pages 3, seen 250, applied 250`. */
function describe(totals: object): string {
  return Object.entries(totals)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
