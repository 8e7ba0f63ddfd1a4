import { once } from 'node:events';
import { connect } from 'node:net';

/** @typedef {{ status: number, text: string }} Answer `text`: the head and the start of the body, up to 4 KB */

/**
 * Opens a keep-alive connection for one request at a time. Parses no more than the length of an answer: the load generator
 * shares the cores with the services that it measures, so a full HTTP client would slow them down.
 *
 * @param {number} port
 */
export async function openConnection(port) {
  /** @type {{ resolve: (answer: Answer) => void, reject: (error: Error) => void } | undefined} */
  let pending;
  let text = '';
  let received = 0;
  /** Bytes of the whole answer; 0 until its head has arrived. */
  let expected = 0;

  /** @param {number} length @param {Uint8Array} bytes */
  function read(length, bytes) {
    received += length;
    if (expected === 0) {
      text += /** @type {Buffer} */ (bytes).toString('latin1', 0, Math.min(length, 4096));
      expected = lengthOf(text);
    }
    if (Number.isNaN(expected)) socket.destroy(new Error(`an answer without content-length: ${text}`));
    else if (received > expected && expected > 0) socket.destroy(new Error(`more than one answer: ${text}`));
    else if (received === expected) pending?.resolve({ status: Number(text.slice(9, 12)), text });
    return true;
  }

  const onread = { buffer: Buffer.alloc(65_536), callback: read };
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
  await once(socket, 'connect');
  socket.on('error', (error) => pending?.reject(error));
  socket.on('close', () => pending?.reject(new Error('the connection was closed')));

  return {
    /** Sends a request. @param {string} request its bytes on the wire @returns {Promise<Answer>} */
    send(request) {
      text = '';
      received = 0;
      expected = 0;
      return new Promise((resolve, reject) => {
        pending = { resolve, reject };
        if (socket.destroyed) reject(new Error('the connection was closed'));
        else socket.write(request);
      });
    },
    close: () => socket.destroy(),
  };
}

const lengthHeader = /\r\ncontent-length: (\d+)\r\n/i;

/**
 * Returns the bytes of an answer, from its head: 0 if the head is incomplete, NaN without content-length.
 *
 * @param {string} text
 */
function lengthOf(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  return end + 4 + Number(lengthHeader.exec(text.slice(0, end + 2))?.[1]);
}
