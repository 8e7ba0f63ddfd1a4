import { parseArgs } from 'node:util';

export const help = `npm run faults -- [options]

  --kills N     times that the service is killed on PostgreSQL (50)
  --embedded N  times that it is killed on the embedded database (10)
  --short       5 and 2 of them, for about a minute
  --only TEXT   the faults whose name holds it
`;

/** @param {string[]} args @throws what is wrong with them */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      kills: { type: 'string' },
      embedded: { type: 'string' },
      short: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { short, only, help: isHelp } = values;
  return {
    kills: count('kills', values.kills ?? (short ? '5' : '50')),
    embedded: count('embedded', values.embedded ?? (short ? '2' : '10')),
    only,
    isHelp,
  };
}

/** @param {string} name @param {string} text */
function count(name, text) {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a number, not ${text}`);
  return Number(text);
}
