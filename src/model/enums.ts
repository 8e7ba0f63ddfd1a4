import { Type } from 'typebox';

/**
 * The enums of the contract: closed sets, because the generated Rust client fails on a whole page when one
 * value is new to it. Each has a table in the database with its values and labels.
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

/** The enums by the property of a session that holds them. */
export const enums = {
  billing_address_collection: BillingAddressCollection,
  mode: Mode,
  submit_type: SubmitType,
} as const;

export type EnumName = keyof typeof enums;

export const enumNames = Object.keys(enums) as EnumName[];

/** The values that the contract allows for an enum. */
export function valuesOf(name: EnumName): readonly string[] {
  return enums[name].enum;
}

const EnumValue = Type.Object(
  {
    value: Type.String({ description: 'As it stands in a session.', examples: ['payment'] }),
    label: Type.String({ description: 'For people.', examples: ['Payment'] }),
  },
  { $id: 'EnumValue', description: 'One value of an enum, from its table.' },
);

const Enumeration = Type.Object(
  {
    name: Type.String({
      enum: enumNames,
      description: 'The property of a session that holds it.',
      examples: ['mode'],
    }),
    values: Type.Array(Type.Unsafe<{ value: string; label: string }>(Type.Ref('EnumValue#')), {
      description: 'All values that the contract allows, in the order of their values.',
    }),
  },
  { $id: 'Enum', description: 'An enum of the contract with its labels.' },
);

export type Enumeration = Type.Static<typeof Enumeration>;

/** What the OpenAPI document publishes of this file, by `$id`. */
export const enumComponents = [BillingAddressCollection, Mode, SubmitType, EnumValue, Enumeration];
