import { parseConfig } from '../config.js';
import { migrate } from '../database/migrate.js';
import { openDatabase } from '../database/open.js';

/** `npm run migrate`: brings the database up to date, for those who start with MIGRATE_ON_START=false. */
const database = await openDatabase(parseConfig(process.env));
try {
  const applied = await migrate(database);
  process.stdout.write(applied.length > 0 ? `Applied ${applied.join(', ')}.\n` : 'Nothing to migrate.\n');
} finally {
  await database.close();
}
