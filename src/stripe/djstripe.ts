import type { DjstripeRow } from '../database/djstripe.js';
import type { Element } from './import-elements.js';
import { type Read, readRow, type StripePart } from './import-items.js';
import { type Translation, translate } from './translate.js';

/** From the rows of dj-stripe's table to what an import takes in. Pure. */

const mapNames = ['metadata', 'display_items', 'payment_method_types', 'stripe_data'];

/** The columns as Stripe's object has them: what dj-stripe wrote as "" is null there. */
function asStripeObject(row: DjstripeRow): Record<string, unknown> {
  const fields = Object.entries(row).map(([name, value]) => {
    if (mapNames.includes(name)) return [name, typeof value === 'string' ? JSON.parse(value) : value];
    return [name, value === '' ? null : value];
  });
  const { created, stripe_data, ...columns } = Object.fromEntries(fields);
  return { ...columns, object: 'checkout.session' };
}

/** The raw object; dj-stripe's default for it is `{}`. */
function rawObjectOf({ stripe_data }: DjstripeRow): Record<string, unknown> | undefined {
  const raw = typeof stripe_data === 'string' ? JSON.parse(stripe_data) : undefined;
  return raw !== null && typeof raw === 'object' && raw.object === 'checkout.session' ? raw : undefined;
}

type ReadRow = Read & { readonly projections?: Translation['projections'] };

/**
 * Reads a row. Versions before 2.10 keep everything in columns; those after keep `stripe_data` and a few columns.
 * Stripe's own object says more than the columns that were made from it; the owner, the times and what only
 * dj-stripe has are the columns'.
 */
export function readDjstripeRow(row: DjstripeRow, defaultAccount?: string): ReadRow {
  let columns: Record<string, unknown>;
  let raw: Record<string, unknown> | undefined;
  try {
    columns = asStripeObject(row);
    raw = rawObjectOf(row);
  } catch {
    return { fault: 'has a column whose text is not JSON' };
  }
  const { djstripe_owner_account: account } = columns;
  const origin = {
    account: typeof account === 'string' ? account : defaultAccount,
    second: Math.floor(Date.parse(String(row.djstripe_updated)) / 1000),
    eventId: '',
  };
  const translation = translate({ ...columns, ...raw, id: row.id, object: 'checkout.session' }, origin);
  if (!translation) return { fault: 'has no id that a session can have' };
  const { state, projections } = translation;
  const fields = {
    ...state.defaults,
    ...state.carried,
    ...(row.created !== undefined && row.created !== null && { created: row.created }),
    ...(typeof row.description === 'string' && row.description !== '' && { description: row.description }),
    livemode: row.livemode ?? state.carried.livemode ?? null,
    djstripe_id: Number(row.djstripe_id),
    djstripe_created: row.djstripe_created ?? null,
    djstripe_updated: row.djstripe_updated,
  };
  return { ...readRow(fields, stripePartOf(raw, translation)), projections };
}

function stripePartOf(raw: object | undefined, { state }: Translation): StripePart {
  const { progress, second, eventId } = state.stamp;
  const stored = raw && (translate(raw, { second, eventId })?.state ?? undefined);
  return {
    stripe_data: stored ? JSON.parse(stored.raw) : null,
    status: stored?.status ?? null,
    payment_status: stored?.paymentStatus ?? null,
    stripe_progress: progress,
    stripe_second: second,
    stripe_event_id: eventId,
    stripe_api_version: null,
    stripe_gaps: null,
  };
}

export interface DjstripeOptions {
  /** The owner of what has none. */
  readonly account?: string | undefined;
  /** Whether sessions of a mode are taken in; dj-stripe has both in one table. */
  readonly takesIn: (livemode: boolean) => boolean;
  /** Told of what the contract cannot hold. */
  readonly onProjection: (id: string, projections: Translation['projections']) => void;
}

/** The elements of an import from the rows of dj-stripe's table. */
export async function* djstripeElements(
  rows: AsyncIterable<DjstripeRow>,
  { account, takesIn, onProjection }: DjstripeOptions,
): AsyncGenerator<Element> {
  for await (const row of rows) {
    const place = `djstripe_id ${row.djstripe_id}`;
    if (typeof row.livemode === 'boolean' && !takesIn(row.livemode)) {
      yield { place, read: { ignored: true } };
      continue;
    }
    const { projections = [], ...read } = readDjstripeRow(row, account);
    if (projections.length > 0) onProjection(String(row.id), projections);
    yield { place, read: read as Read };
  }
}
