/**
 * The currencies whose smallest unit is not a hundredth, as Stripe counts amounts (https://docs.stripe.com/currencies).
 * Intl cannot be asked. It counts ISK and UGX without decimals, where Stripe counts hundredths that are always 00. It also
 * leaves out the decimals of currencies whose coins are out of use, such as HUF and COP.
 */
const zeroDecimal = 'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' ');
const threeDecimal = 'bhd jod kwd omr tnd'.split(' ');
const alwaysWhole = ['isk', 'ugx'];

/** Returns how many decimals an amount of Stripe's has in a currency. @param {string} currency */
export function decimalsOf(currency) {
  const code = currency.toLowerCase();
  if (zeroDecimal.includes(code)) return 0;
  return threeDecimal.includes(code) ? 3 : 2;
}

/**
 * Returns an amount for people, `$21.98`; empty when there is none.
 *
 * @param {number | null | undefined} amount in the smallest unit of the currency
 * @param {string | null | undefined} currency ISO 4217
 */
export function formatMoney(amount, currency) {
  if (amount === null || amount === undefined || !Number.isInteger(amount)) return '';
  if (!currency) return String(amount);
  const decimals = decimalsOf(currency);
  const text = decimal(amount, decimals);
  const isWhole = alwaysWhole.includes(currency.toLowerCase()) && amount % 100 === 0;
  const digits = isWhole ? 0 : decimals;
  try {
    const options = { style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    // As text: a number would be rounded to what a double holds.
    return new Intl.NumberFormat('en', /** @type {Intl.NumberFormatOptions} */ (options)).format(
      /** @type {Intl.StringNumericLiteral} */ (text),
    );
  } catch {
    // A code that is none of ISO 4217's form.
    return `${text} ${currency}`;
  }
}

/** Returns an amount in whole units, short, for the axis of a chart: `1.2K`. @param {number} amount @param {string} currency */
export function formatShortMoney(amount, currency) {
  const units = amount / 10 ** decimalsOf(currency);
  return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(units);
}

/** @param {number} amount @param {number} decimals */
function decimal(amount, decimals) {
  const sign = amount < 0 ? '-' : '';
  const digits = String(Math.abs(amount)).padStart(decimals + 1, '0');
  return decimals === 0 ? sign + digits : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}
