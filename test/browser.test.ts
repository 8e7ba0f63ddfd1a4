import { expect, test } from 'vitest';
import { testDatabase } from './support/database.js';
import { expectProblem, sessionBody, sessionsPath, startService } from './support/service.js';

const database = await testDatabase();
const shop = 'https://shop.example.com';
const keys = { API_KEYS: 'full-key-0000000001' };
const bearer = { authorization: `Bearer ${keys.API_KEYS}` };
const plain = await startService({ database, environment: keys });
const listed = await startService({
  database,
  environment: { ...keys, CORS_ORIGINS: `${shop},http://localhost:5173` },
});
const everybody = await startService({ database, environment: { ...keys, CORS_ORIGINS: '*' } });
const local = await startService({ database, environment: { CORS_ORIGINS: 'http://localhost:5173' } });

const preflight = (origin: string, method = 'PATCH') => ({
  origin,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type,if-match',
});

test('without CORS_ORIGINS no other origin gets CORS headers, and OPTIONS is 405', async () => {
  const { headers } = await plain.api.get(sessionsPath).set(bearer).set('origin', shop).expect(200);
  expect(headers).not.toHaveProperty('access-control-allow-origin');
  const refused = await plain.api.options(sessionsPath).set(preflight(shop));
  expectProblem(refused, 405, 'method-not-allowed');
  expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
});

test.each([sessionsPath, `${sessionsPath}/cs_test_1`, '/api/enums', `${sessionsPath}/`])(
  'a preflight from a listed origin succeeds for %s',
  async (path) => {
    const { headers } = await listed.api.options(path).set(preflight(shop)).expect(204);
    expect(headers['access-control-allow-origin']).toBe(shop);
    expect(headers['access-control-allow-methods']).toBe('GET, HEAD, POST, PUT, PATCH, DELETE');
    expect(headers['access-control-allow-headers']).toBe('authorization,content-type,if-match');
    expect(headers.vary).toMatch(/Origin/i);
  },
);

test('a listed origin can read bodies, ETag, Location and errors', async () => {
  const from = { ...bearer, origin: shop };
  const created = await listed.api.post(sessionsPath).set(from).send(sessionBody()).expect(201);
  expect(created.headers['access-control-allow-origin']).toBe(shop);
  expect(created.headers['access-control-expose-headers']).toMatch(/ETag, Location/);
  for (const response of [
    await listed.api.get(`${sessionsPath}/unknown`).set(from).expect(404),
    await listed.api.get(sessionsPath).set('origin', shop).expect(401),
    await listed.api.post(sessionsPath).set(from).send({}).expect(400),
  ]) {
    expect(response.headers['access-control-allow-origin']).toBe(shop);
  }
});

test.each(['https://evil.example.com', 'https://shop.example.com.evil.example', 'http://shop.example.com', 'null'])(
  'the unlisted origin %s gets no CORS headers',
  async (origin) => {
    const refused = await listed.api.options(sessionsPath).set(preflight(origin));
    expectProblem(refused, 405, 'method-not-allowed');
    expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
    const { headers } = await listed.api.get(sessionsPath).set(bearer).set('origin', origin).expect(200);
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    // A cache must not serve this answer to a listed origin.
    expect(headers.vary).toMatch(/Origin/i);
  },
);

test('OPTIONS without preflight headers is 405, and an unknown path is 404', async () => {
  expectProblem(await listed.api.options(sessionsPath), 405, 'method-not-allowed');
  expectProblem(await listed.api.options(sessionsPath).set('origin', shop), 405, 'method-not-allowed');
  expectProblem(await listed.api.options('/nothing'), 404, 'not-found');
  for (const method of ['get', 'post', 'delete'] as const) {
    expectProblem(await listed.api[method]('/nothing'), 404, 'not-found');
  }
});

test('CORS_ORIGINS=* allows every origin, which still needs a key', async () => {
  const { headers } = await everybody.api.options(sessionsPath).set(preflight('https://a.example')).expect(204);
  expect(headers['access-control-allow-origin']).toBe('*');
  expect(headers).not.toHaveProperty('access-control-allow-credentials');
  expectProblem(await everybody.api.get(sessionsPath).set('origin', 'https://a.example'), 401, 'unauthorized');
});

test('without keys a listed origin is allowed; another origin and a rebound Host are refused', async () => {
  const origin = 'http://localhost:5173';
  await local.api.options(sessionsPath).set(preflight(origin)).expect(204);
  const { headers } = await local.api.get(sessionsPath).set({ origin, 'sec-fetch-site': 'same-site' }).expect(200);
  expect(headers['access-control-allow-origin']).toBe(origin);
  expectProblem(await local.api.get(sessionsPath).set('origin', shop), 403, 'forbidden');
  expectProblem(await local.api.get(sessionsPath).set({ origin, host: 'rebound.example' }), 421, 'misdirected-request');
});

test('every API answer forbids content sniffing', async () => {
  for (const response of [
    await plain.api.get(sessionsPath).set(bearer).expect(200),
    await plain.api.get(sessionsPath).expect(401),
    await plain.api.get('/nothing').expect(404),
  ]) {
    expect(response.headers['x-content-type-options']).toBe('nosniff');
  }
});

test('the docs page runs only its own scripts and cannot be framed', async () => {
  for (const path of ['/docs/', '/docs/static/swagger-ui-bundle.js', '/docs/static/swagger-initializer.js']) {
    const { headers } = await plain.api.get(path).expect(200);
    const policy = headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe-eval|upgrade-insecure-requests|https?:/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    expect(headers).not.toHaveProperty('strict-transport-security');
  }
  const { text } = await plain.api.get('/docs/');
  expect(text).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>|\son\w+=|<style/i);
});

test('the docs page may connect to the origin of PUBLIC_URL', async () => {
  const { api } = await startService({ database, environment: { PUBLIC_URL: 'https://sessions.example.com/base' } });
  const { headers } = await api.get('/docs/').expect(200);
  expect(headers['content-security-policy']).toContain("connect-src 'self' https://sessions.example.com;");
});
