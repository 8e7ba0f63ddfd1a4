import { type Static, type TSchema, Type } from 'typebox';
import { BillingAddressCollection, Mode, SubmitType } from './enums.js';

/**
 * The model: dj-stripe's Session as Django REST Framework published it, declared once. The columns, the filters, the
 * requests and the OpenAPI document are derived from this declaration.
 *
 * The order of the properties, their descriptions and the keywords `required`, `nullable` and `readOnly` are the contract.
 * Generated clients repeat them to the byte, so the typing errors in the descriptions must stay.
 */

function readOnly<Schema extends TSchema>(schema: Schema): Schema {
  return { ...schema, readOnly: true };
}

function nullable<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(Type.Unsafe<Static<Schema> | null>({ ...schema, nullable: true }));
}

function componentRef<Schema extends TSchema>(schema: Schema) {
  return Type.Unsafe<Static<Schema>>(Type.Ref(`${(schema as { $id?: string }).$id}#`));
}

function mapSchema(description: string) {
  return Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: {}, description });
}

export const Session = Type.Object(
  {
    djstripe_id: readOnly(Type.Integer()),
    billing_address_collection: componentRef(BillingAddressCollection),
    mode: componentRef(Mode),
    submit_type: componentRef(SubmitType),
    djstripe_created: readOnly(Type.String({ format: 'date-time' })),
    djstripe_updated: readOnly(Type.String({ format: 'date-time' })),
    id: Type.String({ maxLength: 255 }),
    livemode: nullable(
      Type.Boolean({
        description:
          'Null here indicates that the livemode status is unknown or was previously unrecorded. Otherwise, this field indicates whether this record comes from Stripe test mode or live mode operation.',
      }),
    ),
    created: nullable(
      Type.String({ format: 'date-time', description: 'The datetime this object was created in stripe.' }),
    ),
    metadata: nullable(
      mapSchema(
        'A set of key/value pairs that you can attach to an object. It can be useful for storing additional information about an object in a structured format.',
      ),
    ),
    description: nullable(Type.String({ description: 'A description of this object.' })),
    cancel_url: Type.Optional(
      Type.String({
        maxLength: 5000,
        description:
          'The URL the customer will be directed to if theydecide to cancel payment and return to your website.',
      }),
    ),
    client_reference_id: Type.Optional(
      Type.String({
        maxLength: 5000,
        description:
          'A unique string to reference the Checkout Session.This can be a customer ID, a cart ID, or similar, andcan be used to reconcile the session with your internal systems.',
      }),
    ),
    customer_email: Type.Optional(
      Type.String({
        maxLength: 255,
        description: 'If provided, this value will be used when the Customer object is created.',
      }),
    ),
    display_items: nullable(mapSchema('The line items, plans, or SKUs purchased by the customer.')),
    locale: Type.Optional(
      Type.String({
        maxLength: 255,
        description:
          "The IETF language tag of the locale Checkout is displayed in.If blank or auto, the browser's locale is used.",
      }),
    ),
    payment_method_types: mapSchema(
      'The list of payment method types (e.g. card) that this Checkout Session is allowed to accept.',
    ),
    success_url: Type.Optional(
      Type.String({
        maxLength: 5000,
        description:
          'The URL the customer will be directed to after the payment or subscriptioncreation is successful.',
      }),
    ),
    djstripe_owner_account: nullable(Type.String({ description: 'The Stripe Account this object belongs to.' })),
    customer: nullable(Type.String({ description: 'Customer this Checkout is for if one exists.' })),
    payment_intent: nullable(
      Type.String({ description: 'PaymentIntent created if SKUs or line items were provided.' }),
    ),
    subscription: nullable(Type.String({ description: 'Subscription created if one or more plans were provided.' })),
  },
  { $id: 'DjStripeCheckoutSession' },
);

export type Session = Static<typeof Session>;

export type ColumnName = keyof Session;

/** The kind of value in a column. `text` is a plain string, `map` a JSON object. */
export type ColumnKind = 'integer' | 'enum' | 'timestamp' | 'text' | 'boolean' | 'map';

export interface Column {
  readonly name: ColumnName;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  readonly readOnly: boolean;
  readonly required: boolean;
}

type Property = TSchema & {
  $ref?: string;
  type?: string;
  format?: string;
  nullable?: boolean;
  readOnly?: boolean;
};

function kindOf({ $ref, type, format }: Property): ColumnKind {
  if ($ref) return 'enum';
  if (type === 'string') return format === 'date-time' ? 'timestamp' : 'text';
  return type === 'object' ? 'map' : (type as 'integer' | 'boolean');
}

const properties = Object.entries(Session.properties) as [ColumnName, Property][];

/** The columns of a session, in the contract's order. */
export const columns: readonly Column[] = properties.map(([name, schema]) => ({
  name,
  kind: kindOf(schema),
  nullable: schema.nullable ?? false,
  readOnly: schema.readOnly ?? false,
  required: (Session.required as string[]).includes(name),
}));

export type ReadOnlyColumn = 'djstripe_id' | 'djstripe_created' | 'djstripe_updated';

/** The columns that a request may set: all except the three read-only ones. */
export const writableColumns = columns.filter((column) => !column.readOnly) as readonly (Column & {
  readonly name: Exclude<ColumnName, ReadOnlyColumn>;
})[];

/** Returns the number of characters that the contract allows in a text column. */
export function maxLengthOf({ name }: Column): number {
  return (Session.properties[name] as { maxLength?: number }).maxLength ?? Number.POSITIVE_INFINITY;
}

/** A session to store, with a value for every writable column. */
export type SessionWrite = Required<Omit<Session, ReadOnlyColumn>>;

/** Returns the value of a column that a request omits or sets to null: null if the column is nullable, else `""`. */
export function emptyValue(column: Column): null | '' {
  return column.nullable ? null : '';
}

/**
 * Matches an id without control characters that is not `.` or `..`. URLs resolve those two away. The OpenAPI document
 * publishes the rule as a format, not as a `pattern`: PCRE2 refuses `\u009f` in it, Ruby `\x9f`, and RE2 the lookahead.
 */
export const sessionIdRule = /^(?!\.{1,2}$)\P{Cc}+$/u;

/** Returns whether a value is a valid {@link SessionId}. */
export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && sessionIdRule.test(value) && [...value].length <= 255 && value.isWellFormed();
}

export const SessionId = Type.String({
  minLength: 1,
  maxLength: 255,
  format: 'session-id',
  description: "Stripe's id of the Checkout Session. It contains no control characters and is not `.` or `..`.",
  examples: ['cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY'],
});

function requestProperty({ name, kind, nullable: isNullable, required }: Column, schema: Property): Property {
  if (name === 'id') return SessionId;
  // In a request, null in a plain string means "".
  return kind === 'text' && !isNullable && !required ? { ...schema, nullable: true } : schema;
}

const requestProperties = Object.fromEntries(
  columns.flatMap((column) => {
    const schema = requestProperty(column, Session.properties[column.name] as Property);
    return column.readOnly ? [] : [[column.name, column.required ? schema : Type.Optional(schema)]];
  }),
);

export const SessionRequest = Type.Object(requestProperties, {
  $id: 'DjStripeCheckoutSessionRequest',
  additionalProperties: false,
  description:
    'A session to create or replace. The read-only properties are accepted and ignored, so a client can send back a session that it has read. Null in a plain string means "". `payment_method_types` and `display_items` also accept the array that Stripe sends. The array becomes an object keyed by position.',
});

export const SessionPatch = Type.Object(
  Object.fromEntries(Object.entries(requestProperties).map(([name, schema]) => [name, Type.Optional(schema)])),
  {
    $id: 'PatchedDjStripeCheckoutSessionRequest',
    additionalProperties: false,
    description:
      'A JSON merge patch (RFC 7396). A property that is absent keeps its value. Null clears a property. An object such as `metadata` merges by key, and null removes a key. An array in `payment_method_types` or `display_items` replaces the whole object.',
  },
);

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const sessionComponents = [Session, SessionRequest, SessionPatch];
