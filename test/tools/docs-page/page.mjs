/** Steps of a person on the docs page. */

/**
 * Opens the page and waits until it has drawn the operations.
 *
 * @param {import('playwright-core').Page} page @param {string} url of the service
 */
export async function open(page, url) {
  await page.goto(`${url}/docs`);
  await page.locator('.opblock').first().waitFor();
}

/** @param {import('playwright-core').Page} page @param {string} operationId */
export function operation(page, operationId) {
  return page.locator(`.opblock[id$="-${operationId}"]`);
}

/** Enters the key in the dialog. @param {import('playwright-core').Page} page @param {string} key */
export async function authorize(page, key) {
  await page.locator('.btn.authorize').first().click();
  const dialog = page.locator('.dialog-ux');
  await dialog.locator('input[type=text], input[type=password]').fill(key);
  await dialog.getByRole('button', { name: 'Apply credentials' }).click();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await dialog.waitFor({ state: 'detached' });
}

/** Opens an operation until its button `Execute` is there. @param {import('playwright-core').Locator} block */
export async function tryOut(block) {
  await block.locator('.opblock-summary').click();
  await block.locator('.try-out__btn').click();
  await block.locator('.btn.execute').waitFor();
}

/**
 * Executes an operation with the values that the page takes from its examples.
 *
 * @param {import('playwright-core').Page} page @param {string} operationId
 */
export async function execute(page, operationId) {
  const block = operation(page, operationId);
  await tryOut(block);
  const answered = page.waitForResponse((response) => response.url().includes('/api/'));
  await block.locator('.btn.execute').click();
  const response = await answered;
  const shown = block.locator('.live-responses-table tbody .response-col_status').first();
  await shown.waitFor();
  return {
    url: new URL(response.url()),
    status: response.status(),
    shown: Number.parseInt((await shown.textContent()) ?? '', 10),
    body: response.status() === 204 ? undefined : await response.json(),
  };
}
