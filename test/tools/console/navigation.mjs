/** Uses of the console that go from view to view, by keyboard and by mouse. */
import { deepStrictEqual as equal, ok } from 'node:assert';
import { enterKey, hashOf, settled } from './page.mjs';

/** @typedef {import('./page.mjs').Use} Use */
/** @typedef {import('playwright-core').Page} Page */

const idOfFocus = (/** @type {Page} */ page) => page.evaluate('document.activeElement.id');
const scrollPosition = (/** @type {Page} */ page) => page.evaluate('scrollY');

/** Opens the list of paid sessions. @param {Parameters<Use>[0]} surroundings */
async function openPaid({ service, open }) {
  const page = await open(`${service.url}/console/`);
  await enterKey(page, service.key);
  await page.getByLabel('State').selectOption('paid');
  await page.waitForURL((url) => url.hash.includes('state=paid'));
  await settled(page);
  return page;
}

/** @type {Use} */
export async function returnsToTheList(surroundings) {
  const page = await openPaid(surroundings);
  const row = page.locator('.row-link').nth(20);
  const id = String(await row.textContent());
  for (const back of [() => page.locator('.back').click(), () => page.goBack()]) {
    await row.focus();
    const position = await scrollPosition(page);
    ok(Number(position) > 100);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: id }).waitFor();
    equal(await idOfFocus(page), 'main');
    await back();
    await page.locator('.row-link:focus').waitFor();
    equal(await page.locator('.row-link:focus').textContent(), id);
    equal(hashOf(page), '#/sessions?state=paid');
    equal(await scrollPosition(page), position);
  }
}

/** @type {Use} */
export async function opensRowsByClick(surroundings) {
  const page = await openPaid(surroundings);
  for (const place of ['.when time', '.customer span', '.amount', '.badge']) {
    // By force: the link of the row lies over most of its texts.
    await page.locator(`.row:nth-child(3) ${place}`).click({ force: true });
    await page.locator('.back').click();
    await page.locator('.row-link:focus').waitFor();
  }
}

/** @type {Use} */
export async function worksByKeyboard({ service, open }) {
  const page = await open(`${service.url}/console/`);
  await enterKey(page, service.key);
  await page.locator('.sessions .row').first().waitFor();
  // An id can be pasted without a click.
  equal(await idOfFocus(page), 'search');
  await page.goto(`${service.url}/console/#/sessions?mode=payment`);
  await page.reload();
  await settled(page);
  const reached = [];
  for (let presses = 0; presses < 17; presses += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(nameOfFocus));
  }
  const controls = ['Skip to the content', 'Checkout Sessions', 'Sessions', 'Events', 'Overview', 'Forget key'];
  // The field for the day has four parts in Chromium.
  const filters = ['State', 'Mode', 'Live or test', 'Day (UTC)', 'Day (UTC)', 'Day (UTC)', 'Day (UTC)'];
  const first = await page.locator('.row-link').first().textContent();
  equal(reached, [...controls, 'Search sessions', 'Search', ...filters, 'Clear all', first]);
  // The next page begins at its top. Escape empties the search box, which ends the search.
  await page.getByRole('link', { name: 'Older →' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: '← Newer' }).waitFor();
  equal([await idOfFocus(page), await scrollPosition(page)], ['main', 0]);
  await page.getByRole('searchbox').fill('nobody@example.com');
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Search without the other filters' }).waitFor();
  equal(await idOfFocus(page), 'search');
  await page.keyboard.press('Escape');
  await page.waitForURL((url) => url.hash === '#/sessions?mode=payment');
}

/** Returns the name of the focused control, and whether its focus is invisible. As a text: it runs in the browser. */
const nameOfFocus = `(() => {
  const control = document.activeElement;
  const name = control.labels?.[0]?.firstChild?.textContent || control.textContent.trim();
  const outlines = [getComputedStyle(control), getComputedStyle(control, '::after')];
  return outlines.some(({ outlineStyle }) => outlineStyle !== 'none') ? name : name + ' without an outline';
})()`;
