import { type TSchema, Type } from 'typebox';
import type { Fault } from '../errors.js';
import type { EventBody } from '../stripe/event-body.js';

/** The parsed parts of an import, and the helpers of their parsers. Pure. */

/**
 * One thing to import. Two items with the same key, or with the same djstripe_id, must not be written in one group.
 *
 * `object` is a Stripe session, `delivery` a Stripe event. The others are rows: `json` holds the columns, `raw` the
 * stripe_data when `json` lacks it.
 */
export type ImportItem = (
  | { readonly kind: 'object'; readonly object: JsonObject }
  | { readonly kind: 'delivery'; readonly body: EventBody }
  | { readonly kind: 'session'; readonly json: string; readonly raw?: string | undefined }
  | { readonly kind: 'tombstone' | 'event' | 'progress'; readonly json: string }
  | { readonly kind: 'sequence' }
) & {
  readonly key: string;
  readonly djstripeId?: number | undefined;
  /** Whether the row is restored exactly, so that it cannot get a new djstripe_id. */
  readonly isExact?: boolean;
};

/** An item, the fault of the input, or `ignored` for a mode or a model that is not imported. */
export type ParsedItem = ImportItem | { readonly fault: string } | { readonly ignored: true };

export type JsonObject = Readonly<Record<string, unknown>>;

/** Largest djstripe_id: an i32 in generated Rust clients. */
export const maxDjstripeId = 2 ** 31 - 1;

export const djstripeIdSchema = Type.Integer({ minimum: 1, maximum: maxDjstripeId });
export const timeSchema = Type.String({ format: 'date-time' });

export const orNull = (schema: TSchema) => ({ ...schema, nullable: true }) as TSchema;

/** Joins faults to one text, such as `extra is not a property of a session; mode must be …`. */
export function faultOf(faults: readonly Fault[]): { fault: string } {
  return { fault: faults.map(({ pointer, detail }) => `${pointer.slice(1)} ${detail}`.trim()).join('; ') };
}
