import { Type } from 'typebox';

/** Schemas of values that can be null. OpenAPI 3.0 has `nullable`; a type array needs 3.1. */

export const nullableText = (description: string, example: string) =>
  Type.Unsafe<string | null>({ type: 'string', nullable: true, description, examples: [example] });

export const nullableBoolean = (description: string, example: boolean) =>
  Type.Unsafe<boolean | null>({ type: 'boolean', nullable: true, description, examples: [example] });
