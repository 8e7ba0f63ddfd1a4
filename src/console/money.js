/**
 * The currencies whose smallest unit is not a hundredth in Stripe's amounts (https://docs.stripe.com/currencies). Intl
 * differs from Stripe: it gives ISK and UGX no decimals, while Stripe counts hundredths that are always 00. It also gives
 * no decimals to currencies whose coins are out of use, such as HUF and COP.
 */
const zeroDecimal = 'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' ');
const threeDecimal = 'bhd jod kwd omr tnd'.split(' ');
const alwaysWhole = ['isk', 'ugx'];

/** Returns the number of decimals that Stripe's amounts have in a currency. @param {string} currency */
export function decimalsOf(currency) {
  const code = currency.toLowerCase();
  if (zeroDecimal.includes(code)) return 0;
  return threeDecimal.includes(code) ? 3 : 2;
}

/**
 * Formats an amount for people: `$21.98`. Returns `''` if there is no amount.
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
    // Pass a text: a double would round large amounts.
    return new Intl.NumberFormat('en', /** @type {Intl.NumberFormatOptions} */ (options)).format(
      /** @type {Intl.StringNumericLiteral} */ (text),
    );
  } catch {
    // The code does not have the form of ISO 4217.
    return `${text} ${currency}`;
  }
}

const shortFormat = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** Formats a number for the axis of a chart: `1.2K`. @param {number} count */
export const formatShortCount = (count) => shortFormat.format(count);

/** Formats an amount in whole units for the axis of a chart: `1.2K`. @param {number} amount @param {string} currency */
export const formatShortMoney = (amount, currency) => shortFormat.format(amount / 10 ** decimalsOf(currency));

/** Formats an amount with a decimal point, without rounding. @param {number} amount @param {number} decimals */
function decimal(amount, decimals) {
  const sign = amount < 0 ? '-' : '';
  const digits = String(Math.abs(amount)).padStart(decimals + 1, '0');
  return decimals === 0 ? sign + digits : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}
