/**
 * Returns the marks of an axis that begins at 0. The marks are round numbers, and the last one is the end of the axis.
 *
 * @param {number} largest the largest value to show
 */
export function axisOf(largest) {
  const rough = Math.max(largest, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough);
  const count = Math.max(1, Math.ceil(largest / step));
  return { top: count * step, marks: Array.from({ length: count + 1 }, (_, index) => index * step) };
}
