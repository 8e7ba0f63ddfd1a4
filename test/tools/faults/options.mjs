import { parseArgs } from 'node:util';
import { wholeNumber } from '../lib/options.mjs';

export const help = `Usage: npm run faults -- [options]

Kills the service and harms its PostgreSQL under write load, with real processes. Checks that no acknowledged write is
lost, that no write is half done, and that the service recovers by itself. Makes a PostgreSQL server of its own with
initdb, which PG_BIN names if it is in no usual place. As root on Linux, it also fills two small disks.

  --kills 50      times to kill the service on PostgreSQL
  --embedded 10   times to kill the service on the embedded database
  --short         5 and 2 times instead: about a minute in all
  --only TEXT     only the faults with this text in their name

Exits with 1 after a loss or another failure, with 77 when this machine has no PostgreSQL server.
`;

/** @typedef {ReturnType<typeof readOptions>} Options */

/** @param {string[]} args */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      kills: { type: 'string' },
      embedded: { type: 'string' },
      short: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
    },
  });
  return {
    kills: wholeNumber('kills', values.kills ?? (values.short ? '5' : '50'), 0),
    embedded: wholeNumber('embedded', values.embedded ?? (values.short ? '2' : '10'), 0),
    only: values.only,
  };
}
