import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { prismaDirectory } from '../src/database/engine/migrate.js';
import { enumNames, valuesOf } from '../src/model/enums.js';
import {
  type ColumnKind,
  columns,
  emptyValue,
  SessionPatch,
  SessionRequest,
  writableColumns,
} from '../src/model/session.js';
import { contract } from './support/contract.js';

interface Field {
  name: string;
  type: string;
  nullable: boolean;
}

/** Returns the fields of a model in schema.prisma, in order. */
function fieldsOf(model: string): Field[] {
  const schema = readFileSync(`${prismaDirectory}/schema.prisma`, 'utf8');
  const [, block = ''] = new RegExp(`^model ${model} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(schema) ?? [];
  return [...block.matchAll(/^ {2}(\w+) +(\w+)(\?)?/gm)].map(([, name = '', type = '', mark]) => ({
    name,
    type,
    nullable: mark === '?',
  }));
}

const prismaTypes: Record<ColumnKind, string> = {
  integer: 'BigInt',
  enum: 'String',
  timestamp: 'DateTime',
  text: 'String',
  boolean: 'Boolean',
  map: 'Json',
};

test("the model's columns equal schema.prisma's in name, type, nullability and order", () => {
  const expected = columns.map(({ name, kind, nullable }) => ({ name, type: prismaTypes[kind], nullable }));
  expect(columns).toHaveLength(22);
  expect(fieldsOf('checkout_session').slice(0, columns.length)).toEqual(expected);
});

test('the other fields of schema.prisma are not published', () => {
  const rest = fieldsOf('checkout_session').slice(columns.length);
  expect(rest.map(({ name }) => name)).toContain('stripe_data');
  for (const { name } of rest) {
    for (const component of ['DjStripeCheckoutSession', 'DjStripeCheckoutSessionRequest']) {
      expect(Object.keys(contract.components.schemas[component].properties)).not.toContain(name);
    }
  }
});

test("the enums hold the contract's closed sets", () => {
  expect(Object.fromEntries(enumNames.map((name) => [name, valuesOf(name)]))).toEqual({
    billing_address_collection: ['auto', 'required'],
    mode: ['payment', 'setup', 'subscription'],
    submit_type: ['auto', 'book', 'donate', 'pay'],
  });
});

test('every enum column has an enum', () => {
  expect(columns.filter(({ kind }) => kind === 'enum').map(({ name }) => name)).toEqual(enumNames);
});

test('request schemas have every column except the three read-only ones, with the same requirements', () => {
  const names = writableColumns.map(({ name }) => name);
  const readOnly = columns.filter((column) => column.readOnly).map(({ name }) => name);
  expect(readOnly).toEqual(['djstripe_id', 'djstripe_created', 'djstripe_updated']);
  expect(Object.keys(SessionRequest.properties)).toEqual(names);
  expect(Object.keys(SessionPatch.properties)).toEqual(names);
  expect(SessionRequest.required).toEqual(writableColumns.filter(({ required }) => required).map(({ name }) => name));
  expect(SessionPatch.required ?? []).toEqual([]);
});

test('an omitted plain string becomes "", every other omitted column null', () => {
  const emptied = columns.filter((column) => !column.required && emptyValue(column) === '');
  expect(emptied.map(({ name }) => name)).toEqual([
    'cancel_url',
    'client_reference_id',
    'customer_email',
    'locale',
    'success_url',
  ]);
});
