import { migrate } from '../database/engine/migrate.js';
import { runCommand } from './command.js';

const help = `Applies the pending migrations to the database.

Usage: npm run migrate

Options:
  -h, --help  print this help

Use it when the service starts with MIGRATE_ON_START=false. It is safe while replicas of the previous release run, and safe
to run several times at once.

Exit code: 0 when the database is up to date, 1 when not, 2 for wrong arguments.

Example:
  DATABASE_URL=postgresql://… npm run migrate

Environment:
  DATABASE_URL         the database, postgresql://… (default: the embedded database in DATA_DIR)
  DATA_DIR             the directory of the embedded database (default: ./data)
  DATABASE_DIRECT_URL  the database without the connection pooler (default: DATABASE_URL)
`;

await runCommand({ help, options: {}, migrations: 'ignore' }, async ({ database }) => {
  const applied = await migrate(database);
  process.stdout.write(applied.length > 0 ? `Applied ${applied.join(', ')}.\n` : 'Nothing to migrate.\n');
  return 0;
});
