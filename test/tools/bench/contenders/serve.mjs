/** Common parts of the contenders. */

/** Serves until SIGTERM. @param {import('fastify').FastifyInstance} app @param {() => Promise<unknown>} [close] */
export async function serve(app, close = async () => {}) {
  process.once('SIGTERM', async () => {
    await app.close();
    await close();
    process.exit();
  });
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
}

/**
 * Returns the URL of the page after a row.
 *
 * @param {import('fastify').FastifyRequest} request @param {unknown} position
 */
export function nextUrl(request, position) {
  const url = new URL(request.url, `http://${request.headers.host}`);
  url.searchParams.set('cursor', Buffer.from(JSON.stringify(position)).toString('base64url'));
  return url.href;
}

/** @param {string} cursor */
export const readCursor = (cursor) => JSON.parse(Buffer.from(cursor, 'base64url').toString());

/** Returns a function that names statements by their text, so that PostgreSQL prepares each once. */
export function namer() {
  /** @type {Map<string, string>} */
  const names = new Map();
  return (/** @type {string} */ text) => {
    const name = names.get(text) ?? `s${names.size}`;
    names.set(text, name);
    return name;
  };
}
