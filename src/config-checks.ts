import { isIP } from 'node:net';
import { compile } from '@fastify/proxy-addr';
import { closest, distance } from 'fastest-levenshtein';
import type { Config } from './config.js';

/** Checks of the names and values of environment variables. */

/** Returns whether an entry is one origin as browsers send it, without a wildcard. */
export function isOrigin(entry: string): boolean {
  return !entry.includes('*') && URL.canParse(entry) && new URL(entry).origin === entry;
}

/** Returns whether proxy-addr, which Fastify uses, accepts an entry: an address, a network or a name such as `loopback`. */
export function isNetwork(entry: string): boolean {
  try {
    compile(entry);
  } catch {
    return false;
  }
  // proxy-addr reads `1` as 0.0.0.1 and `010.0.0.1` as 8.0.0.1. Such an entry is a mistake.
  const [address = ''] = entry.split('/');
  return isIP(address) !== 0 || !/\d/.test(entry);
}

/** Returns the faults of STRIPE_API_KEYS and of the variables that need a Stripe key. */
export function stripeFaults(config: Config): string[] {
  const faults: string[] = [];
  const keys = config.STRIPE_API_KEYS;
  const modes = keys.map((key) => /^(?:sk|rk|sk_org)_(live|test)_/.exec(key)?.[1]);
  for (const mode of ['live', 'test']) {
    const count = modes.filter((one) => one === mode).length;
    if (count > 1) faults.push(`STRIPE_API_KEYS holds more than one ${mode} key: keep one`);
  }
  if (modes.includes(undefined)) {
    faults.push('STRIPE_API_KEYS must hold keys that begin with sk_, rk_ or sk_org_, followed by live_ or test_');
  }
  const isOrganization = keys.some((key) => key.startsWith('sk_org_'));
  if (isOrganization && config.CATCH_UP_INTERVAL_MINUTES > 0 && config.STRIPE_ACCOUNT_ID === undefined) {
    faults.push("CATCH_UP_INTERVAL_MINUTES with an organization's key needs STRIPE_ACCOUNT_ID");
  }
  if (config.CATCH_UP_INTERVAL_MINUTES > 0 && keys.length === 0) {
    faults.push('CATCH_UP_INTERVAL_MINUTES is set and there is no Stripe key: set STRIPE_API_KEYS');
  }
  const { STRIPE_FETCH_LINE_ITEMS, STRIPE_READ_THROUGH = 'off' } = config;
  if (STRIPE_FETCH_LINE_ITEMS && keys.length === 0) {
    faults.push('STRIPE_FETCH_LINE_ITEMS is true and there is no Stripe key: set STRIPE_API_KEYS');
  }
  if (STRIPE_READ_THROUGH !== 'off' && keys.length === 0) {
    faults.push(`STRIPE_READ_THROUGH is ${STRIPE_READ_THROUGH} and there is no Stripe key: set STRIPE_API_KEYS`);
  }
  return faults;
}

/** Shorter names resemble too many others: REPORT is two edits from PORT. */
const shortestName = 8;
/** Names shorter than this match within one edit, others within two: Laravel's APP_KEY is two edits from API_KEYS. */
const longName = 10;

/** Returns a warning for each variable whose name is one or two edits from a known variable that is not set. */
export function misspeltVariables(
  variables: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): string[] {
  const candidates = known.filter((name) => name.length >= shortestName && !variables[name]);
  const warnings: string[] = [];
  for (const name of Object.keys(variables)) {
    if (!variables[name] || known.includes(name)) continue;
    const meant = closest(name, candidates);
    const edits = meant.length < longName ? 1 : 2;
    if (distance(name, meant) <= edits) {
      warnings.push(`${name} is set, and is no variable of this service: did you mean ${meant}?`);
    }
  }
  return warnings;
}

interface EnvironmentFault {
  readonly keyword: string;
  readonly message?: string;
  readonly params: { readonly allowedValues?: string[]; readonly type?: string; readonly limit?: number };
}

/** Returns the fault of a variable's value, in words. The value is not in them, because it may be a secret. */
export function faultOf(error: unknown, { description = '' }: { description?: string }): string {
  const [first] = (error as { errors?: EnvironmentFault[] }).errors ?? [];
  if (!first) throw error;
  const { keyword, message, params } = first;
  switch (keyword) {
    case 'pattern':
      // The description begins with the form, as in `https://…`.
      return `must have the form ${description.split('`')[1]}`;
    case 'enum':
      return `must be one of ${params.allowedValues?.join(', ')}`;
    case 'minimum':
      return `must be at least ${params.limit}`;
    case 'maximum':
      return `must be at most ${params.limit}`;
    case 'minLength':
      return 'must not be empty';
    case 'type':
      return params.type === 'boolean' ? 'must be true or false' : 'must be a whole number';
    default:
      return `${message}`;
  }
}
