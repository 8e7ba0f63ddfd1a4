/** What requests are made of: ids, customers, moments and documents, read from the database before anything is measured. */
import { connected } from './database.mjs';

/**
 * @typedef {{ created: string, id: string }} Position
 *
 * @typedef {object} Material
 * @property {string[]} ids
 * @property {string[]} customers of the sessions of customers, so that those who came often are asked for often
 * @property {number} from epoch milliseconds of the first session
 * @property {number} to of the last
 * @property {Record<string, any>[]} documents sessions as the service answers with them
 * @property {Position[]} firstRows the first rows of the list
 * @property {Position[]} deepRows the rows of the list from the 10,000th page of ten on
 * @property {(contender: string, position: Position) => string} cursorOf as the pages of a contender begin
 */

const most = 1_000_000;
const manyDocuments = 50_000;
const pageSize = 10;

/** A number of rows, spread over the table in no order, and the same for all contenders. */
const sample = (/** @type {string} */ columns, /** @type {string} */ where) =>
  `SELECT ${columns} FROM checkout_session WHERE ${where} ORDER BY md5(id) LIMIT $1`;

/** @param {string} url @returns {Promise<Material>} */
export function loadMaterial(url) {
  return connected(url, async (client) => {
    const { rows: ids } = await client.query(sample('id, customer', 'true'), [most]);
    const { rows: documents } = await client.query(sample('document', 'true'), [manyDocuments]);
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

/** A thousand rows of the list after so many, or as far down as there are rows. @param {import('pg').Client} client @param {number} offset @returns {Promise<Position[]>} */
async function rowsFrom(client, offset) {
  const { rows } = await client.query(
    `SELECT to_json(created) #>> '{}' AS created, id FROM checkout_session ORDER BY created DESC, id DESC
     LIMIT 1000 OFFSET greatest(0, least($1::bigint, (SELECT count(*) FROM checkout_session) - 1100))`,
    [offset],
  );
  return rows;
}
