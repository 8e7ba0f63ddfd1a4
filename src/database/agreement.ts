import type { Session } from '../model/session.js';
import type { checkout_session, Prisma } from './generated/client.js';

/**
 * The compiler's check that the model (src/model/session.ts) and the schema (prisma/schema.prisma) say the same:
 * the same columns, of the same kind, null in the same places. It fails to compile when one drifts.
 */

type PrivateColumn =
  | 'version'
  | 'document'
  | 'stripe_data'
  | 'status'
  | 'payment_status'
  | 'stripe_progress'
  | 'stripe_second'
  | 'stripe_event_id'
  | 'stripe_api_version'
  | 'checkout_email'
  | 'customer_account'
  | 'payment_link'
  | 'invoice';

// A JSON column of Prisma's may always be null, JSON's own: of maps only the kind is compared.
type Kind<Value> = [Prisma.JsonObject] extends [Value]
  ? 'map'
  : [Value] extends [Date | string]
    ? 'text'
    : [Value] extends [bigint | number]
      ? 'integer'
      : [Value] extends [boolean]
        ? 'boolean'
        : 'map';

type Shape<Row> = {
  [Name in keyof Row]-?: Kind<NonNullable<Row[Name]>> extends 'map'
    ? 'map'
    : [Kind<NonNullable<Row[Name]>>, null extends Row[Name] ? 'nullable' : 'never null'];
};

type Equal<One, Other> = [One, Other] extends [Other, One] ? true : false;

/** True, or it does not compile. */
export const modelAgreesWithSchema: Equal<Shape<Session>, Shape<Omit<checkout_session, PrivateColumn>>> = true;
