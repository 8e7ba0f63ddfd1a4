// @ts-nocheck: these functions run in the browser, and the tools are checked without the browser's types.

/** Returns the widths of the page and of the screen, in CSS pixels. */
export function widths() {
  return { page: document.documentElement.scrollWidth, screen: innerWidth };
}

/** Returns the largest of red, green and blue in the background of the page, 0 to 255. */
export function brightestOfBackground() {
  const { backgroundColor } = getComputedStyle(document.documentElement);
  return Math.max(...backgroundColor.match(/\d+/g).map(Number));
}

/**
 * Finds visible text with a contrast below WCAG 2.1's level AA: 4.5, or 3 for large text.
 *
 * @returns {string[]} a line for each pair of colours, with the first text in these colours
 */
export function faintTexts() {
  /** @typedef {[red: number, green: number, blue: number, alpha: number]} Colour */
  /** @param {string} css @returns {Colour} */
  const parse = (css) => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (css.match(/[\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  /** @param {Colour} over @param {Colour} under @returns {Colour} */
  const blend = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  /** @param {Element | null} element @returns {Colour} */
  const backgroundOf = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : blend(own, backgroundOf(element.parentElement));
  };
  /** @param {Colour} colour */
  const luminance = ([red, green, blue]) => {
    const linear = (/** @type {number} */ part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  /** @param {Colour} one @param {Colour} other */
  const contrast = (one, other) => {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  /** @type {Map<string, string>} */
  const faint = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent?.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !element?.checkVisibility() || element.closest('option')) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const background = backgroundOf(element);
    const ratio = contrast(blend(parse(color), background), background);
    const size = Number.parseFloat(fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
    if (ratio >= (isLarge ? 3 : 4.5)) continue;
    const key = `${color} on ${background.map(Math.round)}`;
    if (!faint.has(key)) faint.set(key, `${key}: ${ratio.toFixed(2)} in .${element.className}: ${text.slice(0, 40)}`);
  }
  return [...faint.values()];
}

/** Returns what the page keeps in the browser: in local storage, then in session storage. */
export function storage() {
  return JSON.stringify(localStorage) + JSON.stringify(sessionStorage);
}

/** Returns the number of parameters that the contract gives the list of sessions. */
export async function countListParameters() {
  const contract = await (await fetch('/openapi.json')).json();
  return contract.paths['/api/checkout-sessions'].get.parameters.length;
}
