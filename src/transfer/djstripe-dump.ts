import { type DjstripeOptions, djstripeItem } from './djstripe.js';
import type { DjstripeRow } from './djstripe-tables.js';
import type { ImportEntry } from './import-file.js';

/** Parses dj-stripe's objects from the output of Django's `manage.py dumpdata`. Pure. */

/** An object in a dump. */
export interface DumpObject {
  readonly model: string;
  readonly pk: unknown;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Whether a value is an object in a dump. */
export function isDumpObject(value: unknown): value is DumpObject {
  const { model, fields } = (value ?? {}) as Partial<DumpObject>;
  return typeof model === 'string' && fields !== null && typeof fields === 'object' && !Array.isArray(fields);
}

/** The models that the reference fields of a session point to. */
const modelOf = new Map([
  ['customer', 'djstripe.customer'],
  ['payment_intent', 'djstripe.paymentintent'],
  ['setup_intent', 'djstripe.setupintent'],
  ['subscription', 'djstripe.subscription'],
  ['djstripe_owner_account', 'djstripe.account'],
]);
const models = new Set(modelOf.values());

/**
 * The objects of a dump. It converts the sessions after the last object, because they may refer to any object by number.
 */
export class DjstripeDump {
  readonly #options: DjstripeOptions;
  readonly #sessions: (DumpObject & { readonly place: string })[] = [];
  readonly #others: string[] = [];
  /** Stripe's ids by model and number. */
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

  /** Returns an entry for each object. Objects of other models are ignored. */
  *entries(): Generator<ImportEntry> {
    for (const place of this.#others) yield { place, parsed: { ignored: true } };
    for (const { place, pk, fields } of this.#sessions) {
      yield { place, parsed: djstripeItem(this.#rowOf(pk, fields), this.#options) };
    }
  }

  /** Returns a session's row, with Stripe's ids instead of the numbers that the dump resolves. */
  #rowOf(pk: unknown, fields: DumpObject['fields']): DjstripeRow {
    const row: Record<string, unknown> = { ...fields, djstripe_id: pk };
    for (const [name, model] of modelOf) {
      if (typeof row[name] === 'number') row[name] = this.#ids.get(`${model} ${row[name]}`) ?? row[name];
    }
    return row as DjstripeRow;
  }
}
