/** Checks of health, metrics and the enum tables. */

/** @param {import('../checks.mjs').Trial} trial */
export async function checkService({ check, client: { call }, isDistributed }) {
  for (const path of ['/health/live', '/health/ready']) {
    const health = await call('GET', path);
    check(`GET ${path}`, health.status === 200, health);
  }
  const enums = await call('GET', '/api/enums');
  check('GET /api/enums', enums.status === 200, enums);
  const modes = await call('GET', '/api/enums/mode');
  check('GET /api/enums/mode', modes.status === 200 && /subscription/.test(modes.text), modes);
  const changes = await call('GET', '/api/changes');
  check(
    'GET /api/changes is 501 on Citus, which has no triggers',
    changes.status === (isDistributed ? 501 : 200),
    changes,
  );
  const metrics = await call('GET', '/metrics');
  check('GET /metrics', metrics.status === 200 && /^database_writable 1$/m.test(metrics.text), metrics);
}
