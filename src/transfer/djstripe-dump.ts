import { type DjstripeOptions, djstripeItem } from './djstripe.js';
import type { DjstripeRow } from './djstripe-tables.js';
import type { ImportEntry } from './ndjson.js';

/** Reads dj-stripe's objects as `manage.py dumpdata` of Django writes them. Pure. */

/** An object of a dump. */
export interface DumpObject {
  readonly model: string;
  readonly pk: unknown;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Whether a value is an object of a dump. */
export function isDumpObject(value: unknown): value is DumpObject {
  const { model, fields } = (value ?? {}) as Partial<DumpObject>;
  return typeof model === 'string' && fields !== null && typeof fields === 'object' && !Array.isArray(fields);
}

/** The fields that refer to other objects, and the models of those. */
const referred = new Map([
  ['customer', 'djstripe.customer'],
  ['payment_intent', 'djstripe.paymentintent'],
  ['setup_intent', 'djstripe.setupintent'],
  ['subscription', 'djstripe.subscription'],
  ['djstripe_owner_account', 'djstripe.account'],
]);
const models = new Set(referred.values());

/** The objects of a dump: sessions are read when all are known, as they may refer to others by number. */
export class DjstripeDump {
  readonly #options: DjstripeOptions;
  readonly #sessions: (DumpObject & { readonly place: string })[] = [];
  readonly #others: string[] = [];
  /** Stripe's ids, by model and number. */
  readonly #ids = new Map<string, unknown>();

  constructor(options: DjstripeOptions) {
    this.#options = options;
  }

  add(place: string, { model, pk, fields }: DumpObject): void {
    if (model === 'djstripe.session') {
      this.#sessions.push({ place, model, pk, fields });
      return;
    }
    this.#others.push(place);
    if (models.has(model)) this.#ids.set(`${model} ${pk}`, fields.id);
  }

  /** The sessions; objects of other models are ignored. */
  *entries(): Generator<ImportEntry> {
    for (const place of this.#others) yield { place, parsed: { ignored: true } };
    for (const { place, pk, fields } of this.#sessions) {
      yield { place, parsed: djstripeItem(this.#rowOf(pk, fields), this.#options) };
    }
  }

  #rowOf(pk: unknown, fields: DumpObject['fields']): DjstripeRow {
    const row: Record<string, unknown> = { ...fields, djstripe_id: pk };
    for (const [name, model] of referred) {
      if (typeof row[name] === 'number') row[name] = this.#ids.get(`${model} ${row[name]}`) ?? row[name];
    }
    return row as DjstripeRow;
  }
}
