import { migrate } from '../database/engine/migrate.js';
import { runCommand } from './command.js';

const help = `Usage: npm run migrate

Brings the database up to date, for those who start the service with MIGRATE_ON_START=false.
Safe to run while replicas of the release before are running, and by several at once.
`;

await runCommand({ help, options: {}, migrations: 'ignore' }, async ({ database }) => {
  const applied = await migrate(database);
  process.stdout.write(applied.length > 0 ? `Applied ${applied.join(', ')}.\n` : 'Nothing to migrate.\n');
  return 0;
});
