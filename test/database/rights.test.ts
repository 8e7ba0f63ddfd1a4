import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, expect, inject, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/engine/database.js';
import { migrate } from '../../src/database/engine/migrate.js';
import { openPostgres } from '../../src/database/engine/postgres.js';
import { assertMayMigrate, assertMayRun } from '../../src/database/engine/rights.js';
import { postgresDatabase, testDatabase } from '../support/database.js';
import { runStatement } from '../support/postgres.js';
import { runCommandLine, runToExit, startProcess } from '../support/process.js';
import { sessionBody, sessionsPath } from '../support/service.js';

const template = inject('template');
const database = await testDatabase();

test('the owner of the tables may migrate and serve', async () => {
  await assertMayMigrate(database.query);
  await assertMayRun(database.query);
});

if (template.kind === 'postgres') {
  const server = template.url;
  const suffix = randomBytes(6).toString('hex');
  const [migrator, service] = [`migrator_${suffix}`, `service_${suffix}`];
  // Give the roles the password of the server's URL, so that one URL works for all.
  const { password } = new URL(server);
  const login = password ? `LOGIN PASSWORD '${decodeURIComponent(password)}'` : 'LOGIN';
  for (const role of [migrator, service]) await runStatement(server, `CREATE ROLE ${role} ${login}`);
  const databases = [
    await postgresDatabase(server, 'template0'),
    await postgresDatabase(server, 'template0'),
    await postgresDatabase(server, 'template0'),
    await postgresDatabase(server, template.name),
  ] as const;
  const [created, empty, hidden, owned] = databases;
  afterAll(async () => {
    // PostgreSQL drops a role only when no database depends on it.
    for (const { url } of databases) {
      for (const role of [service, migrator]) await runStatement(url, `DROP OWNED BY ${role}`);
    }
    for (const role of [migrator, service]) await runStatement(server, `DROP ROLE ${role}`);
  });

  /** Returns the URL with another role. */
  function as(role: string, url: string): string {
    const other = new URL(url);
    other.username = role;
    return other.href;
  }

  const open = (url: string): Database => {
    const opened = openPostgres({ url, poolSize: 1, statementTimeout: 9000, preparedStatements: true });
    onTestFinished(() => opened.close());
    return opened;
  };

  /** Returns the GRANT statements in docs/operations.md, with this file's role names. */
  async function documentedGrants(): Promise<string> {
    const text = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const [, block = ''] = /## Roles\n.*?```sql\n(.*?)```/s.exec(text) ?? [];
    return block.replaceAll('migrator', migrator).replaceAll('service', service);
  }

  test('with the documented GRANTs one role migrates and another serves', async () => {
    await runStatement(created.url, await documentedGrants());
    const environment = { MIGRATE_ON_START: 'false', DATABASE_URL: as(service, created.url) };
    const migrated = await runCommandLine('migrate', [], { DATABASE_URL: as(migrator, created.url) });
    expect(migrated).toMatchObject({ code: 0, stderr: '' });

    const { url } = await startProcess(environment);
    const path = `${url}${sessionsPath}`;
    const { id, ...fields } = sessionBody();
    const send = async (method: string, target: string, body?: unknown) => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(target, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
      return response.status;
    };
    expect(await send('POST', path, { id, ...fields })).toBe(201);
    expect(await send('PATCH', `${path}/${id}`, { locale: 'de' })).toBe(200);
    expect(await send('PUT', `${path}/${id}`, fields)).toBe(200);
    expect(await send('GET', `${path}?customer=cus_1&count=exact`)).toBe(200);
    expect(await send('GET', `${url}/api/enums`)).toBe(200);
    expect(await send('GET', `${url}/health/ready`)).toBe(200);
    expect(await send('DELETE', `${path}/${id}`)).toBe(204);
    expect(await send('POST', path, { id, ...fields })).toBe(201);
  });

  test("the service migrates with DATABASE_DIRECT_URL's role and serves with DATABASE_URL's", async () => {
    await runStatement(empty.url, await documentedGrants());
    const { url } = await startProcess({
      DATABASE_URL: as(service, empty.url),
      DATABASE_DIRECT_URL: as(migrator, empty.url),
    });
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });

  test('a role without rights on the schema gets the missing GRANT in one line', async () => {
    const { url } = hidden;
    const environment = { DATABASE_URL: as(service, url) };
    const grant = (rights: string) => `GRANT ${rights} ON SCHEMA public TO ${service}`;
    const start = await runToExit(environment);
    expect(start).toMatchObject({ code: 1, stdout: '' });
    expect(start.stderr).toBe(
      `The database role ${service} may not create in the schema public, as migrations do: ${grant('USAGE, CREATE')};\n`,
    );
    await runStatement(url, 'REVOKE ALL ON SCHEMA public FROM PUBLIC');
    const unusable = await runToExit(environment);
    expect(unusable.stderr).toBe(
      `The database role ${service} may not use the schema public: ${grant('USAGE')}; migrations also need CREATE.\n`,
    );
    await runStatement(url, grant('USAGE, CREATE'));
    expect(await migrate(open(environment.DATABASE_URL))).not.toEqual([]);
  });

  test('a role without rights on the tables gets the missing GRANTs in one line, and they suffice', async () => {
    const role = open(as(service, owned.url));
    const refusal = await assertMayRun(role.query).catch((error: Error) => error.message);
    expect(refusal).not.toContain('\n');
    expect(refusal).toMatch(
      new RegExp(`^The database role ${service} lacks rights: GRANT SELECT ON _prisma_migrations, .* TO ${service};$`),
    );
    const { code, stderr } = await runToExit({ DATABASE_URL: as(service, owned.url), MIGRATE_ON_START: 'false' });
    expect({ code, stderr }).toEqual({ code: 1, stderr: `${refusal}\n` });
    await runStatement(owned.url, String(refusal).replace(/^.*?: /, ''));
    await assertMayRun(role.query);
    await expect(assertMayMigrate(role.query)).rejects.toThrow(/may not create in the schema public/);
    await runStatement(owned.url, `GRANT CREATE ON SCHEMA public TO ${service}`);
    await expect(assertMayMigrate(role.query)).rejects.toThrow(
      /does not own the tables, which migrations change: migrate as their owner, or GRANT \w+ TO /,
    );
  });

  test('a command without rights fails with one line that names them', async () => {
    const { url } = await postgresDatabase(server, template.name);
    const { code, stderr } = await runCommandLine('export', [], { DATABASE_URL: as(service, url) });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^The database role may not do this: permission denied for table \w+\. See "Roles" in docs\/operations\.md\.\n$/,
    );
  });
}
