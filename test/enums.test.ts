import { expect, test } from 'vitest';
import { enumNames, enums, valuesOf } from '../src/model/enums.js';
import { contract, expectComponent } from './support/contract.js';
import { expectProblem, startService } from './support/service.js';

const { api, database } = await startService();
const other = await startService();

/** Returns the values and labels of an enum as the contract's component publishes them. */
function published(name: string): { values: string[]; labels: Record<string, string> } {
  const { $ref } = contract.components.schemas.DjStripeCheckoutSession.properties[name];
  const component = contract.components.schemas[$ref.split('/').at(-1)];
  const lines: string[] = component.description.split('\n');
  return {
    values: component.enum,
    labels: Object.fromEntries(lines.map((line) => /^\* `(.*)` - (.*)$/.exec(line)?.slice(1, 3) ?? [])),
  };
}

const line = ({ value, label }: { value: string; label: string }) => `* \`${value}\` - ${label}`;

test('/api/enums lists every enum', async () => {
  const { body } = await api.get('/api/enums').expect(200);
  expect(body.map(({ name }: { name: string }) => name)).toEqual(enumNames);
  for (const one of body) expectComponent('Enum', one);
});

test.each(enumNames)("/api/enums/%s has the contract's values and labels in order", async (name) => {
  const { body } = await api.get(`/api/enums/${name}`).expect(200);
  const { values, labels } = published(name);
  expect(body).toEqual({ name, values: values.map((value) => ({ value, label: labels[value] })) });
  expect(values).toEqual(valuesOf(name));
  expect(enums[name]).toMatchObject({ description: body.values.map(line).join('\n') });
});

test('the list holds the same enums as their own paths', async () => {
  const { body } = await api.get('/api/enums/').expect(200);
  for (const one of body) expect((await api.get(`/api/enums/${one.name}`).expect(200)).body).toEqual(one);
});

test('labels come from the enum table', async () => {
  await other.database.query({ text: 'UPDATE stripe_session_mode SET label = upper(value)', values: [] });
  const { body } = await other.api.get('/api/enums/mode').expect(200);
  expect(body.values.map(({ label }: { label: string }) => label)).toEqual(['PAYMENT', 'SETUP', 'SUBSCRIPTION']);
});

test.each(['currency', 'Mode', 'constructor', 'stripe_session_mode'])(
  '/api/enums/%s is 404 and names the known enums',
  async (name) => {
    const { detail } = expectProblem(await api.get(`/api/enums/${name}`), 404, 'not-found');
    for (const known of enumNames) expect(detail).toContain(known);
  },
);

test.each(enumNames)('a foreign key refuses a %s outside its enum', async (column) => {
  const row = { billing_address_collection: 'auto', mode: 'payment', submit_type: 'pay' };
  const insert = (values: typeof row, id: string) =>
    database.query({
      text: `INSERT INTO checkout_session (id, billing_address_collection, mode, submit_type, payment_method_types)
        VALUES ($1, $2, $3, $4, '{}')`,
      values: [id, values.billing_address_collection, values.mode, values.submit_type],
    });
  await insert(row, `cs_test_${column}`);
  await expect(insert({ ...row, [column]: 'another' }, `cs_test_other_${column}`)).rejects.toMatchObject({
    code: '23503',
  });
});
