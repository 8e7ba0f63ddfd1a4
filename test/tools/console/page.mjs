/** Steps of a person in the console. */

/**
 * @typedef {import('playwright-core').Page} Page
 *
 * @typedef {object} Surroundings of a use
 * @property {import('../lib/service.mjs').StartedService} service
 * @property {(url: string) => Promise<Page>} open opens a page
 * @property {(text: RegExp) => void} expect tells which errors in the browser's console belong to the use
 *
 * @typedef {(surroundings: Surroundings) => Promise<void>} Use of the console, which throws when the page fails a person
 */

/** Waits until the page has loaded its data. @param {Page} page */
export async function settled(page) {
  await page.waitForLoadState('load');
  await page.locator('.skeleton').first().waitFor({ state: 'detached' });
}

/** @param {Page} page @param {string} key */
export async function enterKey(page, key) {
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByRole('navigation', { name: 'Views' }).waitFor();
}

export const hashOf = (/** @type {Page} */ page) => decodeURIComponent(new URL(page.url()).hash);
