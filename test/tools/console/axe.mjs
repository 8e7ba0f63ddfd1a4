/** Checks of accessibility. */
import { deepStrictEqual } from 'node:assert';
import { equal } from 'node:assert/strict';
import axe from 'axe-core';
import { faintTexts, widths } from '../lib/readable.mjs';
import { cutTexts } from './cut-texts.mjs';

/**
 * Checks that axe-core finds no violation, that nothing is beyond the right edge or cut off, and that every text has enough
 * contrast.
 *
 * @param {import('playwright-core').Page} page
 */
export async function expectAccessible(page) {
  // Through the debugger's protocol, which the page's content security policy does not restrict.
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    // @ts-expect-error: the line above has defined it
    const { violations: found } = await globalThis.axe.run(globalThis.document);
    return found.map(
      (/** @type {import('axe-core').Result} */ { id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).join('\n  ')}`,
    );
  });
  deepStrictEqual(violations, []);
  const { page: needed, screen } = await page.evaluate(widths);
  equal(needed <= screen, true, `the page is ${needed} pixels wide on a screen of ${screen}`);
  deepStrictEqual(await page.evaluate(cutTexts), []);
  deepStrictEqual(await page.evaluate(faintTexts), []);
}
