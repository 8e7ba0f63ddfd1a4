import { formatMoney } from './money.js';

/** Reads line items in the shapes of all versions of Stripe's API. */

/** @typedef {{ name: string, quantity: number | undefined, amount: string }} Item */

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === 'object' && value !== null;

/** Returns the value at a path of property names, or undefined. @param {unknown} value @param {string[]} path @returns {unknown} */
function valueAt(value, ...path) {
  return path.reduce((/** @type {unknown} */ inner, name) => (isObject(inner) ? inner[name] : undefined), value);
}

/** The paths of an item's name, best first. */
const namePaths = [
  ['description'],
  ['custom', 'name'],
  ['price', 'nickname'],
  ['price', 'product', 'name'],
  ['plan', 'nickname'],
  ['sku', 'attributes', 'name'],
  ['price', 'id'],
  ['plan', 'id'],
  ['sku', 'id'],
  ['id'],
];

/**
 * Reads `display_items`: the line items, or the display items of API versions before 2020-08-27.
 *
 * @param {unknown} map the items by position; any other value gives no items
 * @param {string | null} currency of the session
 * @returns {Item[]}
 */
export function lineItemsOf(map, currency) {
  if (!isObject(map)) return [];
  return Object.values(map)
    .filter(isObject)
    .map((item) => {
      const name = namePaths
        .map((path) => valueAt(item, ...path))
        .find((value) => typeof value === 'string' && value !== '');
      const quantity = valueAt(item, 'quantity');
      const count = typeof quantity === 'number' ? quantity : undefined;
      const ownCurrency = valueAt(item, 'currency');
      return {
        name: typeof name === 'string' ? name : 'Item',
        quantity: count,
        amount: formatMoney(amountOf(item, count), typeof ownCurrency === 'string' ? ownCurrency : currency),
      };
    });
}

/** Returns the amount of an item. Items of old API versions have the amount of one piece. @param {unknown} item @param {number | undefined} quantity */
function amountOf(item, quantity = 1) {
  const total = valueAt(item, 'amount_total') ?? valueAt(item, 'amount_subtotal');
  if (typeof total === 'number') return total;
  const each = valueAt(item, 'amount') ?? valueAt(item, 'plan', 'amount') ?? valueAt(item, 'sku', 'price');
  return typeof each === 'number' ? each * quantity : null;
}
