import { readFileSync } from 'node:fs';
import type { Config } from './config.js';

/** Secrets of the configuration: files that hold them, names of keys, and secrets that are easy to guess. */

/** Reads the file that `NAME_FILE` names and sets the variable NAME to its content. */
export function readSecretFile(name: string, set: Record<string, string | undefined>, faults: string[]): void {
  const path = set[`${name}_FILE`];
  if (path === undefined) return;
  if (set[name] !== undefined) faults.push(`${name} and ${name}_FILE are both set: keep one`);
  try {
    const secret = readFileSync(path, 'utf8').trim();
    if (secret === '') faults.push(`${name}_FILE is an empty file`);
    set[name] = secret;
  } catch (error) {
    faults.push(`${name}_FILE cannot be read: ${(error as Error).message}`);
  }
}

/** A configured key of the API. */
export interface ApiKey {
  /** The name in the log: the one before the key, or its position as `#1`, `#2` or `read#1`. */
  readonly name: string;
  readonly key: string;
  readonly hasFullAccess: boolean;
}

type ApiKeyLists = Pick<Config, 'API_KEYS' | 'API_READ_KEYS'>;

/**
 * A key, optionally after a name and spaces. A key cannot hold a space, so the two are never confused. A name is shorter
 * than the shortest key: of two keys with a space in place of the comma, the first would otherwise be logged as a name.
 */
const keyEntry = /^(?:([a-z][\w-]{0,14}) +)?([\x21-\x7e]+)$/i;

/** Returns whether an entry of API_KEYS is a key, with or without a name. */
export function isKeyEntry(entry: string): boolean {
  return keyEntry.test(entry);
}

/** Returns the keys of the API, keys with read access first. */
export function apiKeys({ API_KEYS, API_READ_KEYS }: ApiKeyLists): ApiKey[] {
  const parse = (entries: readonly string[], place: string, hasFullAccess: boolean) =>
    entries.map((entry, index): ApiKey => {
      const [, name = `${place}#${index + 1}`, key = ''] = keyEntry.exec(entry) ?? [];
      return { name, key, hasFullAccess };
    });
  return [...parse(API_READ_KEYS, 'read', false), ...parse(API_KEYS, '', true)];
}

const shortestKey = 16;

/** The signing secret of the README's first steps. Anyone can sign with it. */
export const trialSecret = 'whsec_try';

/** Returns a finding for each kind of weak secret. It is a fault where others can reach the service, else a warning. */
export function weakSecrets(config: ApiKeyLists & Pick<Config, 'STRIPE_WEBHOOK_SECRETS'>): string[] {
  const short = apiKeys(config).filter(({ key }) => key.length < shortestKey);
  const findings: string[] = [];
  if (short.length > 0) {
    findings.push(
      `API_KEYS and API_READ_KEYS take keys of ${shortestKey} characters or more, and ${short.map(({ name }) => name).join(', ')} ` +
        `is shorter: make one with \`openssl rand -hex 32\`, or with \`node -p "crypto.randomBytes(32).toString('hex')"\``,
    );
  }
  if (config.STRIPE_WEBHOOK_SECRETS.some((secret) => !secret.startsWith('whsec_'))) {
    findings.push(
      'STRIPE_WEBHOOK_SECRETS must hold signing secrets that begin with whsec_: copy the secret of the endpoint from the Stripe dashboard, or from the output of `stripe listen`',
    );
  }
  if (config.STRIPE_WEBHOOK_SECRETS.includes(trialSecret)) {
    findings.push(
      `STRIPE_WEBHOOK_SECRETS holds ${trialSecret}, with which anyone can sign: it is for a trial on this machine`,
    );
  }
  return findings;
}
