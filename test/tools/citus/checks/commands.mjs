/** Checks of the commands export, import, erase and migrate. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sessionsPath } from '../../load/operations.mjs';
import { stripeSession } from '../stripe-session.mjs';
import { bodyOf } from './sessions.mjs';

/** @typedef {import('../checks.mjs').Trial} Trial */

/** @param {Trial} trial */
export async function checkCommands(trial) {
  await checkTransfer(trial);
  await checkImport(trial);
  await checkErase(trial);
  const { check, command } = trial;
  const migrated = await command('migrate');
  check('migrate', migrated.code === 0, migrated);
}

/** Exports everything, and imports one deleted session again. @param {Trial} trial */
async function checkTransfer({ check, client: { session }, command, directory, idOf }) {
  const [published, whole, one] = ['published', 'whole', 'one'].map((name) => join(directory, `${name}.ndjson`));
  const exported = await command('export', '--output', String(published));
  check('export', exported.code === 0, exported);
  const full = await command('export', '--full', '--output', String(whole));
  check('export --full', full.code === 0, full);
  const lines = full.code === 0 ? readFileSync(String(whole), 'utf8').trim().split('\n') : [];
  const kinds = new Set(lines.map((line) => JSON.parse(line).kind));
  check(
    'the full export has every kind of line',
    ['session', 'tombstone', 'event'].every((kind) => kinds.has(kind)),
    [...kinds],
  );
  const again = await command('import', String(whole));
  check('import of everything again', again.code === 0 && / 0 applied/.test(again.output), again);

  const id = idOf('m1');
  await session('DELETE', id);
  const line = lines.find((text) => JSON.parse(text).kind === 'session' && JSON.parse(text).id === id);
  writeFileSync(String(one), `${line}\n`);
  const kept = await command('import', String(one));
  check('import of a deleted session', kept.code === 0 && /1 deleted/.test(kept.output), kept);
  const restored = await command('import', '--restore', String(one));
  check('import --restore', restored.code === 0 && /1 applied/.test(restored.output), restored);
  const back = await session('GET', id);
  check('the restored session is served again', back.status === 200, back);
}

/** @param {Trial} trial */
async function checkImport({ check, client: { call, session }, command, directory, run, idOf }) {
  const highest = (await call('GET', `${sessionsPath}?ordering=-djstripe_id&limit=1`)).json?.results[0]?.djstripe_id;
  const number = highest + 1000;
  const times = { djstripe_created: '2025-01-01T00:00:00Z', djstripe_updated: '2025-01-01T00:00:00Z' };
  const file = join(directory, 'mixed.ndjson');
  const contract = { ...bodyOf(run, idOf('imported')), djstripe_id: number, ...times };
  const lines = [stripeSession(idOf('raw')), contract].map((line) => JSON.stringify(line));
  writeFileSync(file, `${lines.join('\n')}\n`);
  const imported = await command('import', file);
  check('import of a raw object and of a session', imported.code === 0 && /2 applied/.test(imported.output), imported);
  const kept = await session('GET', idOf('imported'));
  check('the import keeps a djstripe_id', kept.json?.djstripe_id === number, kept);
  const next = await call('POST', sessionsPath, bodyOf(run, idOf('next')));
  check(
    'the sequence is past the imported djstripe_id',
    next.json?.djstripe_id > number && next.json.djstripe_id < 2 ** 31,
    next,
  );
  const other = join(directory, 'taken.ndjson');
  writeFileSync(other, `${JSON.stringify({ ...contract, id: idOf('taken') })}\n`);
  const renumbered = await command('import', other);
  const taken = await session('GET', idOf('taken'));
  const isOther = taken.json?.djstripe_id !== number;
  check('import of a djstripe_id in use', renumbered.code === 0 && taken.status === 200 && isOther, renumbered);
}

/** @param {Trial} trial */
async function checkErase({ check, client: { session }, command, run, idOf }) {
  const dry = await command('erase', '--email', `P${run}@example.com`, '--dry-run');
  check('erase --dry-run', dry.code === 0 && dry.output.includes(idOf('m2')), dry);
  const there = await session('GET', idOf('m2'));
  check('erase --dry-run changes nothing', there.status === 200, there);
  const erased = await command('erase', '--customer', `cus_st${run}`);
  check('erase', erased.code === 0 && erased.output.includes(idOf('hook')), erased);
  const gone = await session('GET', idOf('hook'));
  check('the erased session is gone', gone.status === 404, gone);
}
