import { Type } from 'typebox';

/**
 * Declares an enum of the contract. The enums are closed sets: the generated Rust client cannot read a page that contains
 * one unknown value. Each enum has a table in the database with its values and labels.
 */
function enumComponent<const Value extends string>($id: string, labels: Readonly<Record<Value, string>>) {
  const values = Object.keys(labels) as Value[];
  const description = values.map((value) => `* \`${value}\` - ${labels[value]}`).join('\n');
  const schema = { $id, type: 'string', enum: values, description };
  return Object.assign(Type.Unsafe<Value>(schema), schema);
}

export const BillingAddressCollection = enumComponent('StripeSessionBillingAddressCollection', {
  auto: 'Auto',
  required: 'Required',
});

export const Mode = enumComponent('StripeSessionMode', {
  payment: 'Payment',
  setup: 'Setup',
  subscription: 'Subscription',
});

export const SubmitType = enumComponent('StripeSubmitTypeStatus', {
  auto: 'Auto',
  book: 'Book',
  donate: 'donate',
  pay: 'pay',
});

/** The enums, by the session property that has the enum's values. */
export const enums = {
  billing_address_collection: BillingAddressCollection,
  mode: Mode,
  submit_type: SubmitType,
} as const;

export type EnumName = keyof typeof enums;

export const enumNames = Object.keys(enums) as EnumName[];

/** Returns the values that the contract allows for an enum. */
export function valuesOf(name: EnumName): readonly string[] {
  return enums[name].enum;
}

const EnumValue = Type.Object(
  {
    value: Type.String({ description: 'The value, as a session contains it.', examples: ['payment'] }),
    label: Type.String({ description: 'The text to show to people.', examples: ['Payment'] }),
  },
  { $id: 'EnumValue', description: 'A value of an enum and its label.' },
);

const Enumeration = Type.Object(
  {
    name: Type.String({
      enum: enumNames,
      description: 'The session property that has this enum.',
      examples: ['mode'],
    }),
    values: Type.Array(Type.Unsafe<{ value: string; label: string }>(Type.Ref('EnumValue#')), {
      description: 'All values that the contract allows, in alphabetical order.',
    }),
  },
  { $id: 'Enum', description: 'An enum of the contract, with the label of each value.' },
);

export type Enumeration = Type.Static<typeof Enumeration>;

/** The components that the OpenAPI document publishes from this file, under their `$id`. */
export const enumComponents = [BillingAddressCollection, Mode, SubmitType, EnumValue, Enumeration];
