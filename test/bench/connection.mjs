import { connect } from 'node:net';

/**
 * A connection that is kept alive, with one request under way at a time. Of our own, as the load shares the cores with
 * what it measures: it does the least that tells a whole answer from a broken one.
 *
 * @param {number} port
 * @param {(status: number, text: string) => void} answered called when all of an answer has arrived, with its first
 *   4 KB
 * @param {(error: Error) => void} failed
 */
export function openConnection(port, answered, failed) {
  /** The head, and what of the body came with it. */
  let text = '';
  let received = 0;
  /** Bytes of the whole answer; 0 before its head has arrived. */
  let expected = 0;

  /** @param {number} length @param {Uint8Array} bytes */
  function read(length, bytes) {
    received += length;
    if (expected === 0) {
      text += /** @type {Buffer} */ (bytes).toString('latin1', 0, Math.min(length, 4096));
      expected = lengthOf(text);
    }
    if (received > expected && expected > 0) socket.destroy(new Error(`more than one answer: ${text}`));
    else if (received === expected) finish();
    return true;
  }

  function finish() {
    const whole = text;
    text = '';
    received = 0;
    expected = 0;
    answered(Number(whole.slice(9, 12)), whole);
  }

  const onread = { buffer: Buffer.alloc(65_536), callback: read };
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
  socket.on('error', failed);
  socket.on('end', () => failed(new Error('the connection was closed')));
  return socket;
}

const lengthHeader = /\r\ncontent-length: (\d+)\r\n/i;

/** Bytes of an answer by its head, or 0 when that is not complete. @param {string} text */
function lengthOf(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const [, length] = lengthHeader.exec(text.slice(0, end + 2)) ?? [];
  if (length === undefined) throw new Error(`an answer without content-length: ${text}`);
  return end + 4 + Number(length);
}
