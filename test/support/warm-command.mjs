/**
 * Runs commands one after another in this process, each as `node dist/cli/….js` would. Node, Prisma and the WebAssembly
 * of the embedded database stay loaded: they take most of a short command's time.
 */

import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

let count = 0;

process.on('message', async ({ file, args, environment, input, endOfOutput }) => {
  let hasEnded = false;
  const end = () => {
    if (hasEnded) return;
    hasEnded = true;
    const code = process.exitCode ?? 0;
    process.exitCode = undefined;
    process.stderr.write(endOfOutput);
    process.stdout.write(endOfOutput);
    process.send?.(code);
  };
  process.argv = [process.execPath, file, ...args];
  process.env = { ...environment };
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(input)]), configurable: true });
  Object.assign(process, { exit: end });
  count += 1;
  // Node runs a module again when its URL is new.
  await import(`${pathToFileURL(file)}?${count}`);
  await setImmediate();
  // A command that prints its help returns without calling `exit`.
  end();
});
