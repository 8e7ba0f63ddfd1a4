/** The material of requests: ids, customers, times and documents, read from the database before the first measurement. */
import { connected } from '../lib/database.mjs';

/**
 * @typedef {{ created: string, id: string }} Position
 *
 * @typedef {object} Material
 * @property {string[]} ids
 * @property {string[]} customers once per session, so that frequent customers are requested often
 * @property {number} from creation of the first session, in epoch milliseconds
 * @property {number} to creation of the last session
 * @property {Record<string, any>[]} documents sessions, as the service returns them
 * @property {Position[]} firstRows first rows of the list
 * @property {Position[]} deepRows rows of the list from the 10,000th page of ten on
 * @property {(contender: string, position: Position) => string} cursorOf returns a contender's cursor after a row
 */

const idLimit = 1_000_000;
const documentLimit = 50_000;
const pageSize = 10;

/** Selects rows from all over the table, in the same random order for all contenders. */
const sample = (/** @type {string} */ columns, /** @type {string} */ where) =>
  `SELECT ${columns} FROM checkout_session WHERE ${where} ORDER BY md5(id) LIMIT $1`;

/** @param {string} url @returns {Promise<Material>} */
export function loadMaterial(url) {
  return connected(url, async (client) => {
    const { rows: ids } = await client.query(sample('id, customer', 'true'), [idLimit]);
    const { rows: documents } = await client.query(sample('document', 'true'), [documentLimit]);
    const { rows: spans } = await client.query('SELECT min(created), max(created) FROM checkout_session');
    const { encodeCursor } = await import(new URL('../../../dist/model/cursor.js', import.meta.url).href);
    return {
      ids: ids.map(({ id }) => id),
      customers: ids.flatMap(({ customer }) => customer ?? []),
      from: spans[0].min.getTime(),
      to: spans[0].max.getTime(),
      documents: documents.map(({ document }) => JSON.parse(document)),
      firstRows: await rowsFrom(client, 0),
      deepRows: await rowsFrom(client, 9_999 * pageSize),
      cursorOf: (contender, { created, id }) =>
        contender === 'ours'
          ? encodeCursor({ ordering: '-created', side: 'after', value: created, id })
          : Buffer.from(JSON.stringify({ created, id })).toString('base64url'),
    };
  });
}

/**
 * Returns a thousand rows of the list from an offset, or from as far down as there are rows.
 *
 * @param {import('pg').Client} client @param {number} offset
 * @returns {Promise<Position[]>}
 */
async function rowsFrom(client, offset) {
  const { rows } = await client.query(
    `SELECT to_json(created) #>> '{}' AS created, id FROM checkout_session ORDER BY created DESC, id DESC
     LIMIT 1000 OFFSET greatest(0, least($1::bigint, (SELECT count(*) FROM checkout_session) - 1100))`,
    [offset],
  );
  return rows;
}
