/** Numbers on the command line. Each function throws an error that names the option. */

/** @param {string} name @param {string} text @param {number} [least] */
export function wholeNumber(name, text, least = 1) {
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= least) return value;
  throw new Error(`--${name} takes a whole number from ${least} on, not ${text}.`);
}

/** @param {string} name @param {string} text */
export function positiveNumber(name, text) {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${name} takes a number above 0, not ${text}.`);
}
