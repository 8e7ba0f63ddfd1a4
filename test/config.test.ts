import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigError, environmentVariables, nameWarnings, parseConfig, secretWarnings } from '../src/config.js';
import { apiKeys } from '../src/config-secrets.js';
import { environment } from '../src/config-variables.js';

const directory = mkdtempSync(join(tmpdir(), 'checkout-session-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Writes a file and returns its path. */
function secretFile(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** Returns the faults an environment is refused for. */
function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    parseConfig(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).faults;
  }
  return [];
}

test('an empty environment gives the defaults: loopback, embedded database, no keys', () => {
  expect(parseConfig({})).toMatchObject({
    HOST: '127.0.0.1',
    PORT: 3000,
    DATA_DIR: './data',
    DATABASE_POOL_SIZE: 10,
    DATABASE_STATEMENT_TIMEOUT_MS: 5000,
    DATABASE_PREPARED_STATEMENTS: true,
    MIGRATE_ON_START: true,
    API_KEYS: [],
    API_READ_KEYS: [],
    ALLOW_ANONYMOUS: false,
    TRUST_PROXY: [],
    SHUTDOWN_TIMEOUT_MS: 10_000,
    LOG_LEVEL: 'info',
    BODY_LIMIT: 1_048_576,
  });
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL', 'PUBLIC_URL']) {
    expect(parseConfig({})).not.toHaveProperty(name);
  }
});

test('each variable is parsed to its type, and unknown variables are ignored', () => {
  const config = parseConfig({
    PATH: '/usr/bin',
    HOST: '::1',
    PORT: '8080',
    DATABASE_URL: 'postgresql://someone@db:6432/sessions',
    DATABASE_PREPARED_STATEMENTS: 'false',
    PUBLIC_URL: 'https://sessions.example.com/base',
    LOG_LEVEL: 'warn',
  });
  expect(config).toMatchObject({
    HOST: '::1',
    PORT: 8080,
    DATABASE_URL: 'postgresql://someone@db:6432/sessions',
    DATABASE_PREPARED_STATEMENTS: false,
    PUBLIC_URL: 'https://sessions.example.com/base',
    LOG_LEVEL: 'warn',
  });
  expect(config).not.toHaveProperty('PATH');
});

test('an empty variable counts as unset, because compose files pass empty ones', () => {
  expect(parseConfig({ PORT: '', DATABASE_URL: '', API_KEYS: '', API_KEYS_FILE: '', LOG_LEVEL: '' })).toEqual(
    parseConfig({}),
  );
});

test('lists are split at commas, trimmed, and lose empty entries', () => {
  const { API_KEYS, API_READ_KEYS, TRUST_PROXY } = parseConfig({
    API_KEYS: ' one , two,,three,',
    API_READ_KEYS: ',',
    TRUST_PROXY: '10.0.0.0/8, ::1, uniquelocal, 192.0.2.0/255.255.255.0',
  });
  expect(API_KEYS).toEqual(['one', 'two', 'three']);
  expect(API_READ_KEYS).toEqual([]);
  expect(TRUST_PROXY).toEqual(['10.0.0.0/8', '::1', 'uniquelocal', '192.0.2.0/255.255.255.0']);
});

test('the configuration is frozen', () => {
  const config = parseConfig({}) as { PORT: number };
  expect(() => {
    config.PORT = 1;
  }).toThrow(TypeError);
  expect(config.PORT).toBe(3000);
});

test.each([
  ['PORT', 'http'],
  ['PORT', '80.5'],
  ['PORT', '-1'],
  ['PORT', '65536'],
  ['DATABASE_POOL_SIZE', '0'],
  ['DATABASE_STATEMENT_TIMEOUT_MS', '5s'],
  ['SHUTDOWN_TIMEOUT_MS', '0'],
  ['SHUTDOWN_DRAIN_MS', '-1'],
  ['DATABASE_START_TIMEOUT_MS', '86400001'],
  ['BODY_LIMIT', '1MB'],
  ['MIGRATE_ON_START', 'yes'],
  ['ALLOW_ANONYMOUS', 'TRUE'],
  ['DATABASE_PREPARED_STATEMENTS', 'off'],
  ['LOG_LEVEL', 'verbose'],
  ['DATABASE_URL', 'mysql://root@db/sessions'],
  ['DATABASE_DIRECT_URL', 'db:5432'],
  ['DATABASE_URL', 'postgresql://user:pa#ss@db/sessions'],
  ['PUBLIC_URL', 'sessions.example.com'],
  ['PUBLIC_URL', 'ftp://sessions.example.com'],
  ['PUBLIC_URL', 'https://sessions.example.com/?a=b'],
  ['PUBLIC_URL', 'https://[sessions'],
  ['TRUST_PROXY', 'nginx'],
  ['TRUST_PROXY', '10.0.0.0/99'],
  ['TRUST_PROXY', '0.0.0.0/0'],
  ['TRUST_PROXY', '1'],
  ['TRUST_PROXY', '010.0.0.1'],
  ['CORS_ORIGINS', 'shop.example.com'],
  ['CORS_ORIGINS', 'https://shop.example.com/'],
  ['CORS_ORIGINS', 'https://*.example.com'],
  ['RATE_LIMIT_PER_MINUTE', '-1'],
  ['REQUEST_TIMEOUT_MS', '0'],
  ['REQUEST_TIMEOUT_MS', '86400001'],
  ['MAX_CONNECTIONS', '0'],
])('%s=%s is refused with one fault that names the variable', (name, value) => {
  const faults = faultsOf({ [name]: value });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain(name);
});

test.each([
  ['DATABASE_URL', 'mysql://db', 'must have the form postgresql://…'],
  ['STRIPE_ACCOUNT_ID', 'me', 'must have the form acct_…'],
  ['STRIPE_FETCH_LINE_ITEMS', 'yes', 'must be true or false'],
  ['BODY_LIMIT', '1 MB', 'must be a whole number'],
  ['BODY_LIMIT', '1.5', 'must be a whole number'],
  ['PORT', '65536', 'must be at most 65535'],
  ['MAX_CONNECTIONS', '0', 'must be at least 1'],
  ['LOG_LEVEL', 'loud', 'must be one of fatal, error, warn, info, debug, trace, silent'],
])('the fault for %s=%s uses plain words', (name, value, words) => {
  expect(faultsOf({ [name]: value, STRIPE_API_KEYS: 'sk_test_1' })).toEqual([`${name} ${words}`]);
});

test('every variable with a form has it at the start of its description', () => {
  const withForm = Object.values(environment.properties).filter((schema) => 'pattern' in schema);
  expect(withForm.length).toBeGreaterThan(0);
  for (const schema of withForm) expect(schema).toHaveProperty('description', expect.stringMatching(/^`\S+…`/));
});

test.each(['sk_live_1,rk_test_1', 'sk_org_live_1,sk_org_test_1', 'sk_org_test_1,sk_live_1'])(
  'the Stripe keys %s are accepted',
  (STRIPE_API_KEYS) => {
    expect(faultsOf({ STRIPE_API_KEYS, STRIPE_FETCH_LINE_ITEMS: 'true' })).toEqual([]);
  },
);

test.each([
  ['STRIPE_API_KEYS', { STRIPE_API_KEYS: 'sk_org_1' }],
  ['STRIPE_API_KEYS', { STRIPE_API_KEYS: 'rk_org_live_1' }],
  ['more than one test key', { STRIPE_API_KEYS: 'sk_org_test_1,rk_test_1' }],
  ['STRIPE_ACCOUNT_ID', { STRIPE_API_KEYS: 'sk_org_test_1', CATCH_UP_INTERVAL_MINUTES: '5' }],
  ['STRIPE_API_KEYS', { STRIPE_FETCH_LINE_ITEMS: 'true' }],
  ['STRIPE_API_KEYS', { STRIPE_READ_THROUGH: 'missing' }],
  ['STRIPE_API_KEYS', { CATCH_UP_INTERVAL_MINUTES: '5' }],
])('a fault names %s for %j', (name, environment) => {
  expect(faultsOf(environment)).toEqual([expect.stringContaining(name)]);
});

test('every fault is listed in one message', () => {
  const environment = {
    PORT: 'http',
    LOG_LEVEL: 'loud',
    MIGRATE_ON_START: 'perhaps',
    DATABASE_URL: 'mysql://root:hunter2@db/x',
    API_KEYS_FILE: '/nowhere/keys',
  };
  expect(faultsOf(environment)).toHaveLength(5);
  const message = new ConfigError(faultsOf(environment)).message;
  for (const name of Object.keys(environment)) expect(message).toContain(name);
  expect(message).not.toContain('hunter2');
});

test('a malformed value does not hide a conflict between other variables', () => {
  const faults = faultsOf({ PORT: 'http', HOST: '0.0.0.0' });
  expect(faults.join('\n')).toContain('PORT');
  expect(faults.join('\n')).toContain('API_KEYS');
});

test.each(['DATABASE_URL', 'DATABASE_DIRECT_URL', 'API_KEYS', 'API_READ_KEYS'] as const)(
  '%s can come from a file, without its final line break',
  (name) => {
    const value = name.startsWith('API') ? 'key-of-a-file' : 'postgresql://someone:secret@db/sessions';
    const config = parseConfig({ [`${name}_FILE`]: secretFile(name, `${value}\n`) });
    expect([config[name]].flat()).toEqual([value]);
  },
);

test('a missing secret file is reported with its path and variable', () => {
  const path = join(directory, 'missing');
  const faults = faultsOf({ API_KEYS_FILE: path });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain('API_KEYS_FILE');
  expect(faults[0]).toContain(path);
});

test('a secret given both directly and by file is refused without showing either', () => {
  const faults = faultsOf({ API_KEYS: 'first-secret', API_KEYS_FILE: secretFile('both', 'second-secret') });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain('API_KEYS and API_KEYS_FILE');
  expect(faults[0]).not.toContain('secret');
});

test('an empty key file is refused, so that a mistake cannot open the API', () => {
  expect(faultsOf({ API_KEYS_FILE: secretFile('empty', '\n') }).join()).toContain('API_KEYS_FILE');
});

test.each(['0.0.0.0', '::', '192.168.1.5', 'sessions.internal', '127.0.0.1.example.com'])(
  'HOST=%s without a key is refused, and the fault names both remedies',
  (HOST) => {
    const faults = faultsOf({ HOST });
    expect(faults).toHaveLength(1);
    for (const word of ['HOST', HOST, 'API_KEYS', 'ALLOW_ANONYMOUS=true']) expect(faults[0]).toContain(word);
    expect(faultsOf({ HOST, API_KEYS: 'key-0000000000001' })).toEqual([]);
    expect(faultsOf({ HOST, API_READ_KEYS: 'key-0000000000001' })).toEqual([]);
    expect(faultsOf({ HOST, ALLOW_ANONYMOUS: 'true' })).toEqual([]);
  },
);

test.each(['127.0.0.1', '127.8.9.10', '::1', 'localhost'])('HOST=%s needs no key', (HOST) => {
  expect(parseConfig({ HOST }).HOST).toBe(HOST);
});

test.each(['API_KEYS', 'API_READ_KEYS'])('%s with ALLOW_ANONYMOUS is refused', (name) => {
  const faults = faultsOf({ [name]: 'secret-key', ALLOW_ANONYMOUS: 'true' });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain('ALLOW_ANONYMOUS');
  expect(faults[0]).not.toContain('secret-key');
});

test('CORS_ORIGINS=* without a key or ALLOW_ANONYMOUS is refused', () => {
  expect(faultsOf({ CORS_ORIGINS: '*' }).join()).toMatch(/CORS_ORIGINS.*API_KEYS/);
  expect(faultsOf({ CORS_ORIGINS: '*', API_KEYS: 'key' })).toEqual([]);
  expect(faultsOf({ CORS_ORIGINS: '*', ALLOW_ANONYMOUS: 'true' })).toEqual([]);
  expect(faultsOf({ CORS_ORIGINS: 'http://localhost:5173, https://shop.example.com' })).toEqual([]);
});

test.each(['schlüssel', 'tab\there', 'a name key', `${'n'.repeat(16)} key`, 'n@me key'])(
  'the key %j is refused because a header cannot carry it',
  (key) => {
    const faults = faultsOf({ API_KEYS: key });
    expect(faults).toHaveLength(1);
    expect(faults[0]).not.toContain(key);
  },
);

test('a key may have a name, and a key without one is numbered', () => {
  const config = parseConfig({
    API_KEYS: 'ops key-of-operations-1,key:with=signs-0001, shop   key-of-the-shop-0001',
    API_READ_KEYS: 'grafana-1 key-of-grafana-0001,key-that-reads-0001',
  });
  expect(apiKeys(config)).toEqual([
    { name: 'grafana-1', key: 'key-of-grafana-0001', hasFullAccess: false },
    { name: 'read#2', key: 'key-that-reads-0001', hasFullAccess: false },
    { name: 'ops', key: 'key-of-operations-1', hasFullAccess: true },
    { name: '#2', key: 'key:with=signs-0001', hasFullAccess: true },
    { name: 'shop', key: 'key-of-the-shop-0001', hasFullAccess: true },
  ]);
});

test('two keys without a comma between them are refused, so that no key is logged as a name', () => {
  const key = 'a0b1c2d3e4f5a6b7';
  expect(faultsOf({ API_KEYS: `${key} ${key}` })).toHaveLength(1);
});

test.each([
  [{ API_KEYS: 'short-key-00001' }, '#1'],
  [{ API_KEYS: 'long-key-00000001,shop short', API_READ_KEYS: 'tiny' }, 'read#1, shop'],
  [{ API_KEYS: 'long-key-00000001', STRIPE_WEBHOOK_SECRETS: 'whsec_1,sk_test_1' }, 'whsec_'],
])('a guessable secret in %j is refused on a public address and warned of on loopback', (environment, word) => {
  const faults = faultsOf({ ...environment, HOST: '0.0.0.0' });
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain(word);
  const warnings = secretWarnings(parseConfig(environment));
  expect(warnings).toEqual(faults);
  for (const value of Object.values(environment)) expect(warnings.join()).not.toContain(value);
  const [, command = ''] = /`(openssl [^`]+)`/.exec(warnings.join()) ?? [];
  if ('API_READ_KEYS' in environment) expect(command).toBe('openssl rand -hex 32');
});

test('the secret of the README is refused on a public address and warned of on loopback', () => {
  const environment = { API_KEYS: 'long-key-00000001', STRIPE_WEBHOOK_SECRETS: 'whsec_x,whsec_try' };
  const fault = expect.stringContaining('whsec_try, with which anyone can sign');
  expect(faultsOf({ ...environment, HOST: '0.0.0.0' })).toEqual([fault]);
  expect(secretWarnings(parseConfig(environment))).toEqual([fault]);
});

test('a 16-character key and a whsec_ secret are accepted on a public address', () => {
  const environment = { API_KEYS: 'ops 0123456789abcdef', STRIPE_WEBHOOK_SECRETS: 'whsec_x' };
  expect(faultsOf({ ...environment, HOST: '0.0.0.0' })).toEqual([]);
  expect(secretWarnings(parseConfig(environment))).toEqual([]);
});

test.each([
  ['DATABSE_URL', 'DATABASE_URL'],
  ['DATABASE_URI', 'DATABASE_URL'],
  ['API_KEY', 'API_KEYS'],
  ['API_KEY_FILE', 'API_KEYS_FILE'],
  ['STRIPE_API_KEY', 'STRIPE_API_KEYS'],
  ['STRIPE_WEBHOOK_SECRET', 'STRIPE_WEBHOOK_SECRETS'],
  ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ['DATADIR', 'DATA_DIR'],
  ['OTEL_EXPORTER_OTLP_TRACE_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
])('a misspelt %s gets a warning that suggests %s and hides the value', (name, meant) => {
  const [warning, ...others] = nameWarnings({ [name]: 'hunter2' });
  expect(others).toEqual([]);
  expect(warning).toContain(`${name} is set`);
  expect(warning).toContain(`did you mean ${meant}?`);
  expect(warning).not.toContain('hunter2');
  expect(nameWarnings({ [name]: 'x', [meant]: 'y' })).toEqual([]);
  expect(nameWarnings({ [name]: '' })).toEqual([]);
});

test('a misspelt variable is reported beside the fault it causes', () => {
  const faults = faultsOf({ HOST: '0.0.0.0', API_KEY: 'hunter2' });
  expect(faults).toHaveLength(2);
  expect(faults[1]).toContain('did you mean API_KEYS?');
  expect(faults.join()).not.toContain('hunter2');
});

test('common variables of other programs cause no warning', () => {
  const names =
    `PATH HOME HOSTS HOSTNAME HOSTTYPE PORTS POST REPORT EXPORT USER SHELL LANG LC_ALL TERM PWD OLDPWD SHLVL EDITOR PAGER TZ TMPDIR
    LOGNAME MAIL DISPLAY XDG_DATA_DIRS XDG_DATA_HOME XDG_CONFIG_DIRS XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK COLORTERM
    __CF_USER_TEXT_ENCODING XPC_SERVICE_NAME COMMAND_MODE TERM_PROGRAM HOMEBREW_PREFIX Apple_PubSub_Socket_Render
    CI GITHUB_TOKEN GITHUB_API_URL GITHUB_SERVER_URL GITHUB_ENV RUNNER_OS RUNNER_TEMP RUNNER_DEBUG ACTIONS_RUNTIME_URL CI_API_V4_URL
    REDIS_PORT REDIS_PORT_6379_TCP REDIS_SERVICE_HOST KUBERNETES_PORT KUBERNETES_SERVICE_HOST CHECKOUT_SESSIONS_PORT DATABASE_PORT DATABASE_HOST
    DATABASE_NAME DATABASE_USER DATABASE_PASSWORD POSTGRES_PASSWORD PGHOST PGPORT PGDATA PGPASSWORD PGOPTIONS DB_HOST
    NODE_ENV NODE_OPTIONS NODE_VERSION YARN_VERSION npm_lifecycle_event npm_config_loglevel npm_package_json INIT_CWD LOG_FORMAT RUST_LOG
    OTEL_EXPORTER_OTLP_HEADERS OTEL_EXPORTER_OTLP_METRICS_ENDPOINT OTEL_EXPORTER_OTLP_LOGS_ENDPOINT OTEL_TRACES_SAMPLER OTEL_BSP_MAX_QUEUE_SIZE
    APPDATA ProgramData SystemRoot USERPROFILE COMSPEC PATHEXT OS PROCESSOR_ARCHITECTURE HTTP_PROXY HTTPS_PROXY NO_PROXY SSL_CERT_FILE
    STRIPE_PUBLISHABLE_KEY STRIPE_API_VERSION STRIPE_PRICE_ID PUBLIC_KEY API_URL API_TOKEN APP_KEY SECRET_KEY BASE_DIR META_DIR`.split(
      /\s+/,
    );
  expect(nameWarnings(Object.fromEntries(names.map((name) => [name, 'set'])))).toEqual([]);
  const ours = [...environmentVariables, 'API_KEYS_FILE', 'DATABASE_URL_FILE', 'STRIPE_API_KEYS_FILE'];
  for (const name of ours) expect(nameWarnings({ [name]: 'set' })).toEqual([]);
});
