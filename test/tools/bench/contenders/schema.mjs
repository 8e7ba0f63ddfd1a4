/** The session of the contract as a hand-written service declares it, for fast-json-stringify and ajv. */

const nullableText = { type: 'string', nullable: true };
const text = { type: 'string' };
const billingAddressCollection = { type: 'string', enum: ['auto', 'required'] };
const mode = { type: 'string', enum: ['payment', 'setup', 'subscription'] };
const submitType = { type: 'string', enum: ['auto', 'book', 'donate', 'pay'] };
const map = { type: 'object', additionalProperties: true };

/** @param {object} timestamp the schema of a timestamp: a plain string for rows with timestamps as text */
const sessionProperties = (timestamp) => ({
  djstripe_id: { type: 'integer' },
  billing_address_collection: text,
  mode: text,
  submit_type: text,
  djstripe_created: timestamp,
  djstripe_updated: timestamp,
  id: text,
  livemode: { type: 'boolean', nullable: true },
  created: { ...timestamp, nullable: true },
  metadata: { ...map, nullable: true },
  description: nullableText,
  cancel_url: text,
  client_reference_id: text,
  customer_email: text,
  display_items: { ...map, nullable: true },
  locale: text,
  payment_method_types: map,
  success_url: text,
  djstripe_owner_account: nullableText,
  customer: nullableText,
  payment_intent: nullableText,
  subscription: nullableText,
});

/** The columns of the contract, in its order. */
export const columns = Object.keys(sessionProperties({}));

/** Returns the response schemas of a session and of a page. */
export function responses(timestamp = {}) {
  const session = { type: 'object', properties: sessionProperties({ type: 'string', ...timestamp }) };
  const page = {
    type: 'object',
    properties: {
      count: { type: 'integer', nullable: true },
      next: nullableText,
      previous: nullableText,
      results: { type: 'array', items: session },
    },
  };
  return { session, page };
}

const writable = {
  billing_address_collection: billingAddressCollection,
  mode,
  submit_type: submitType,
  id: { type: 'string', minLength: 1, maxLength: 255 },
  livemode: { type: 'boolean', nullable: true },
  created: { type: 'string', format: 'date-time', nullable: true },
  metadata: { ...map, nullable: true },
  description: nullableText,
  cancel_url: { type: 'string', maxLength: 5000 },
  client_reference_id: { type: 'string', maxLength: 5000 },
  customer_email: { type: 'string', maxLength: 255 },
  display_items: { ...map, nullable: true },
  locale: { type: 'string', maxLength: 255 },
  payment_method_types: map,
  success_url: { type: 'string', maxLength: 5000 },
  djstripe_owner_account: nullableText,
  customer: nullableText,
  payment_intent: nullableText,
  subscription: nullableText,
};

/** The columns that a request may set. */
export const writableColumns = Object.keys(writable);

/** Returns the value of a column that a request omits. @param {string} column */
export const emptyValue = (column) =>
  ['cancel_url', 'client_reference_id', 'customer_email', 'locale', 'success_url'].includes(column) ? '' : null;

/** Read-only properties, which clients send back as they read them. */
const readOnly = { djstripe_id: { type: 'integer' }, djstripe_created: text, djstripe_updated: text };

export const createBody = {
  type: 'object',
  required: ['id', 'billing_address_collection', 'mode', 'submit_type', 'payment_method_types'],
  additionalProperties: false,
  properties: { ...readOnly, ...writable },
};
export const replaceBody = { ...createBody, required: createBody.required.filter((name) => name !== 'id') };
export const patchBody = { ...createBody, required: [] };

/** The query parameters that the benchmark uses. */
export const listQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 50 },
    cursor: text,
    customer: text,
    created__lt: { type: 'string', format: 'date-time' },
  },
};
