import type { generatedTypes, privateTypes, tombstoneTypes } from '../../src/database/columns.js';
import type { checkout_session, Prisma } from '../../src/database/generated/client.js';
import type { Session } from '../../src/model/session.js';

/**
 * Fails to compile when the model (src/model/session.ts) and the schema (prisma/schema.prisma) differ in the columns, their
 * kinds, or where they are nullable. `npm run typecheck` compiles it.
 */

type PrivateColumn = keyof typeof privateTypes | keyof typeof generatedTypes | keyof typeof tombstoneTypes;

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
export const modelAgreesWithSchema: Equal<
  Shape<Session>,
  Shape<Omit<checkout_session, Exclude<PrivateColumn, 'id'>>>
> = true;
