// @ts-nocheck: this function runs in the browser, and the tools are checked without the browser's types.

/**
 * Finds texts that a box cuts off. A list may shorten ids and addresses, which the view of the session shows whole.
 *
 * @returns {string[]} a line for each such text, with its class
 */
export function cutTexts() {
  const whole =
    'h1, h2, th, button, .figure, .badge, .tag, .number, .when, .mode, .event > span, .tile dd, .chart text';
  const isCut = (/** @type {Element} */ element) => {
    const { left, right } = element.getBoundingClientRect();
    const frame = element.closest('svg, .rows td')?.getBoundingClientRect() ?? { left, right };
    if (left < frame.left - 1 || right > frame.right + 1) return true;
    return getComputedStyle(element).overflowX === 'hidden' && element.scrollWidth > element.clientWidth;
  };
  return [...document.querySelectorAll(whole)]
    .filter((element) => element.checkVisibility() && !element.closest('.visually-hidden, .rows thead'))
    .filter(isCut)
    .map((element) => `${element.getAttribute('class') ?? element.tagName}: ${element.textContent.slice(0, 60)}`);
}
