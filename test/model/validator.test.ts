import { Type } from 'typebox';
import { expect, test } from 'vitest';
import { SessionId } from '../../src/model/session.js';
import { validator } from '../../src/model/validator.js';

const Coupon = Type.Object({ code: Type.String({ pattern: '^[A-Z]+$' }) }, { additionalProperties: false });

test('a message names the kind of thing the schema describes', () => {
  expect(validator(Coupon, 'body', 'a coupon')({ code: 'x', off: 5 })).toEqual([
    { in: 'body', pointer: '/off', detail: 'is not a property of a coupon' },
    { in: 'body', pointer: '/code', detail: 'must match ^[A-Z]+$' },
  ]);
  expect(validator(Coupon, 'body')({ code: 'X', off: 5 })).toEqual([
    { in: 'body', pointer: '/off', detail: 'is not a property of this object' },
  ]);
});

test('the id rule is explained in words', () => {
  expect(validator(Type.Object({ id: SessionId }), 'path')({ id: '..' })).toEqual([
    { in: 'path', pointer: '/id', detail: 'must have no control characters and not be . or ..' },
  ]);
});
