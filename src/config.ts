import { isIP } from 'node:net';
import { envSchema } from 'env-schema';
import { type Static, Type } from 'typebox';
import { faultOf, isNetwork, isOrigin, misspeltVariables, stripeFaults } from './config-checks.js';
import { isKeyEntry, readSecretFile, weakSecrets } from './config-secrets.js';
import { environment } from './config-variables.js';
import { OperatorError } from './errors.js';

/** The configuration: the environment, parsed once into a frozen value. */

type Environment = Static<typeof environment>;

export type Config = Readonly<Environment>;

/** Variables that can also come from a file, named by the variable with `_FILE` after its name. */
const secrets = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'API_KEYS',
  'API_READ_KEYS',
  'STRIPE_WEBHOOK_SECRETS',
  'STRIPE_API_KEYS',
] as const;

/** The error of an invalid environment. Its message lists every fault. */
export class ConfigError extends OperatorError {
  constructor(readonly faults: readonly string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/**
 * Parses the environment.
 *
 * @throws ConfigError that lists every fault at once.
 */
export function parseConfig(variables: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  // Compose files pass an unset variable as an empty one.
  const set = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''));
  for (const name of secrets) readSecretFile(name, set, faults);
  const config = Object.freeze(parseEach(set, faults));
  faults.push(...contradictions(config));
  if (!isLoopback(config.HOST)) faults.push(...weakSecrets(config));
  // A misspelt name may be the reason for a missing value.
  if (faults.length > 0) throw new ConfigError([...faults, ...nameWarnings(variables)]);
  return config;
}

/** Parses each variable separately, so that a fault in one does not hide the faults of others. */
function parseEach(data: Readonly<Record<string, string | undefined>>, faults: string[]): Environment {
  const entries = Object.entries(environment.properties).map(([name, schema]) => {
    try {
      const one = Type.Object({ [name]: schema });
      const value = envSchema<Record<string, unknown>>({ schema: one, data: { [name]: data[name] }, env: false })[name];
      return [name, Array.isArray(value) ? Object.freeze(value.map((entry) => entry.trim()).filter(Boolean)) : value];
    } catch (error) {
      faults.push(`${name} ${faultOf(error, schema as { description?: string })}`);
      return [name, (schema as { default?: unknown }).default];
    }
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** Returns the faults that the schema of a single variable cannot express. */
function contradictions(config: Environment): string[] {
  const faults: string[] = [];
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL', 'PUBLIC_URL', 'STRIPE_API_BASE'] as const) {
    const url = config[name];
    // The message leaves out the value, which may hold a password.
    if (url !== undefined && !URL.canParse(url)) faults.push(`${name} is not a URL`);
  }
  for (const pair of config.OTEL_RESOURCE_ATTRIBUTES) {
    if (!/^[^=%]+=([^%]|%[0-9a-f]{2})*$/i.test(pair))
      faults.push('OTEL_RESOURCE_ATTRIBUTES must hold pairs: name=value,…');
  }
  for (const entry of config.CORS_ORIGINS) {
    if (entry !== '*' && !isOrigin(entry)) {
      faults.push(
        `CORS_ORIGINS must hold origins without a path, such as https://shop.example.com, or *: ${entry} is neither`,
      );
    }
  }
  for (const entry of config.TRUST_PROXY) {
    if (!isNetwork(entry)) faults.push(`TRUST_PROXY must hold addresses and networks: ${entry} is neither`);
  }
  const keys = [...config.API_KEYS, ...config.API_READ_KEYS];
  if (keys.length > 0 && config.ALLOW_ANONYMOUS) {
    faults.push('ALLOW_ANONYMOUS is true and there are API keys: keep one of the two');
  }
  if (keys.length === 0 && !config.ALLOW_ANONYMOUS && !isLoopback(config.HOST)) {
    faults.push(
      `HOST is ${config.HOST}, which others can reach, and there is no key: set API_KEYS, or ALLOW_ANONYMOUS=true if a proxy in front authenticates`,
    );
  }
  if (keys.length === 0 && !config.ALLOW_ANONYMOUS && config.CORS_ORIGINS.includes('*')) {
    faults.push(
      'CORS_ORIGINS is * and there is no key, so any web page could use the API: list the origins, or set API_KEYS',
    );
  }
  if (!keys.every(isKeyEntry)) {
    faults.push(
      'API_KEYS and API_READ_KEYS take keys of visible ASCII characters. A name of up to 15 letters, digits, - and _ and a space may come before each key',
    );
  }
  faults.push(...stripeFaults(config));
  return faults;
}

/** Returns whether only this machine can reach an address to listen on. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Returns whether the configuration names a collector for traces. */
export function isTraced(config: Config): boolean {
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT;
  // OpenTelemetry's specification ignores the case of booleans.
  return endpoint !== undefined && config.OTEL_SDK_DISABLED.toLowerCase() !== 'true';
}

/** The names of all variables, for the documentation and its tests. */
export const environmentVariables = Object.keys(environment.properties);

/** The names of the variables that hold the path of a secret's file. */
export const secretFileVariables = secrets.map((name) => `${name}_FILE`);

/** Returns a warning for each variable whose name looks like a misspelt name of ours. */
export function nameWarnings(variables: Readonly<Record<string, string | undefined>>): string[] {
  return misspeltVariables(variables, [...environmentVariables, ...secretFileVariables]);
}

/** Returns a warning for each kind of weak secret on loopback. On other addresses `parseConfig` refuses them. */
export function secretWarnings(config: Config): string[] {
  return isLoopback(config.HOST) ? weakSecrets(config) : [];
}
