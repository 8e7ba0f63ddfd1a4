/** Creates, reads, lists, patches and deletes a session, and compares the answers with the requests. */
import { deepStrictEqual as equal } from 'node:assert';
import { CheckoutSessionsApi } from './client/apis/CheckoutSessionsApi.js';
import { Configuration, ResponseError } from './client/runtime.js';

const id = 'cs_test_fetch';
const { BASE_URL: basePath = '', API_KEY: accessToken = '' } = process.env;
const anonymous = new CheckoutSessionsApi(new Configuration({ basePath }));
const sessions = new CheckoutSessionsApi(new Configuration({ basePath, accessToken }));

await fails(401, 'urn:problem:unauthorized', anonymous.checkoutSessionsList({}));

const body = {
  billingAddressCollection: 'auto',
  mode: 'payment',
  submitType: 'pay',
  id,
  paymentMethodTypes: { 0: 'card' },
  metadata: { order: '6735', størrelse: '42' },
  customer: 'cus_1',
} as const;
const answer = await sessions.checkoutSessionsCreateRaw({ djStripeCheckoutSessionRequest: body });
const created = await answer.value();
const { metadata, paymentMethodTypes, mode, customer, locale } = created;
equal({ ...body, metadata, paymentMethodTypes, mode, customer }, body);
equal(locale, '');
equal(await sessions.checkoutSessionsRetrieve({ id }), created);

for (const [order, found] of [
  ['6735', [created]],
  ['0', []],
] as const) {
  const { results } = await sessions.checkoutSessionsList({
    customer: 'cus_1',
    djstripeCreatedGte: '2026-01-31',
    idIn: [id, 'cs_test_no'],
    metadata: { order },
  });
  equal(results, found);
}

const changes = {
  id,
  ifMatch: answer.raw.headers.get('etag') ?? '',
  patchedDjStripeCheckoutSessionRequest: { metadata: { order: null, gift: 'yes' }, customer: null },
};
const patched = await sessions.checkoutSessionsPartialUpdate(changes);
equal([patched.metadata, patched.customer], [{ størrelse: '42', gift: 'yes' }, null]);
await fails(412, 'urn:problem:precondition-failed', sessions.checkoutSessionsPartialUpdate(changes));

await sessions.checkoutSessionsDestroy({ id });
await fails(404, 'urn:problem:session-not-found', sessions.checkoutSessionsRetrieve({ id }));

async function fails(status: number, type: string, call: Promise<unknown>): Promise<void> {
  const failure = await call.then(() => undefined).catch((error: unknown) => error);
  if (!(failure instanceof ResponseError)) throw new Error(`no ${type}`, { cause: failure });
  const problem = await failure.response.json();
  equal([problem.status, problem.type], [status, type]);
}
