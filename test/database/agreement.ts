import type { generatedTypes, privateTypes, tombstoneTypes } from '../../src/database/columns.js';
import type { checkout_session, Prisma } from '../../src/database/generated/client.js';
import type { Session } from '../../src/model/session.js';

/**
 * Fails to compile when the model (src/model/session.ts) and prisma/schema.prisma differ in their columns, types, or
 * nullability. `npm run typecheck` compiles it.
 */

type PrivateColumn = keyof typeof privateTypes | keyof typeof generatedTypes | keyof typeof tombstoneTypes;

// Prisma's JSON type always includes null, JSON's own. So map columns are compared by kind only.
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

/** Compiles only as true. */
export const modelAgreesWithSchema: Equal<
  Shape<Session>,
  Shape<Omit<checkout_session, Exclude<PrivateColumn, 'id'>>>
> = true;
