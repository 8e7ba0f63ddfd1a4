import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config.js';
import type { MirrorStore } from '../database/sessions/mirror.js';
import type { Outcome } from '../database/sessions/upsert.js';
import { accountOfPath, type SessionState, type StripeEvent } from '../model/stripe.js';
import { accountOf, accountPathOf, type EventBody } from './event-body.js';
import { type Translation, translate } from './translate.js';

/** The result of an ingest. `ignored`: the mirror does not store this kind, mode or id. */
export interface IngestResult {
  readonly outcome: Outcome | 'ignored';
  /** The session's id; absent when the input was ignored. */
  readonly session?: string;
}

/** A session object that did not come in a Stripe event: fetched from Stripe, or imported. */
export interface Snapshot {
  readonly object: unknown;
  /** The account that was read, or the path to it. Undefined means the configured account. */
  readonly account?: string | undefined;
  readonly apiVersion?: string | undefined;
  /** The epoch second of the state: the last whole one before the fetch. For an imported object it is `created`. */
  readonly second: number;
}

type IngestConfig = Pick<Config, 'STRIPE_LIVEMODE' | 'STRIPE_ACCOUNT_ID'>;

export type Ingest = ReturnType<typeof createIngest>;

const ignored: IngestResult = { outcome: 'ignored' };

/** Receives a completed session whose event had no line items. */
export type OnMissingLineItems = (session: { id: string; second: number; account?: string | undefined }) => void;

/**
 * Creates the ingest, the only way for Stripe's data into the database. It translates an object, and writes the state through
 * the guarded upsert. It logs each projection: a value that the contract cannot hold, so the state has another in its place.
 *
 * @param onMissingLineItems called after the event is committed.
 */
export function createIngest(
  mirror: MirrorStore,
  config: IngestConfig,
  log: FastifyBaseLogger,
  onMissingLineItems?: OnMissingLineItems,
) {
  const counts = { projected: 0, ignored: 0 };

  function ignore(): IngestResult {
    counts.ignored += 1;
    return ignored;
  }

  const acceptsMode = (livemode: unknown) =>
    config.STRIPE_LIVEMODE === 'both' || livemode === undefined || livemode === (config.STRIPE_LIVEMODE === 'live');

  const accepts = (type: string, livemode: unknown) => type.startsWith('checkout.session.') && acceptsMode(livemode);

  async function apply(translation: Translation, event?: StripeEvent): Promise<IngestResult> {
    const outcome = await mirror.apply(translation.state, event);
    logProjections(translation, outcome, event);
    return { outcome, session: translation.state.id };
  }

  function logProjections({ state, projections }: Translation, outcome: Outcome, event?: StripeEvent): void {
    if (projections.length === 0 || outcome !== 'applied') return;
    counts.projected += 1;
    log.warn(
      { session: state.id, event: event?.id, projections, count: counts.projected },
      'projected values that the contract cannot hold',
    );
  }

  /** Translates a snapshot. Returns undefined for an object that is not ingested. */
  function translateSnapshot(
    { object, account, apiVersion, second }: Snapshot,
    event?: StripeEvent,
  ): Translation | undefined {
    const owner = accountOfPath(account) ?? account ?? config.STRIPE_ACCOUNT_ID;
    const translation = translate(object, {
      account: owner,
      apiVersion,
      second,
      eventId: event?.id ?? '',
      type: event?.type,
    });
    return translation && acceptsMode(translation.state.carried.livemode ?? undefined) ? translation : undefined;
  }

  return {
    /** Counts since the start: states with projected values, and ignored inputs. */
    counts: counts as Readonly<typeof counts>,

    /** Counts an ignored input, and returns its result. */
    ignore,

    /** Whether the mirror ingests events of this type and mode. */
    accepts,

    /** Ingests an event. Ignores another type, the other mode, and a session id that the mirror cannot store. */
    async event(body: EventBody): Promise<IngestResult> {
      const { id, type, created, livemode, api_version, data } = body;
      if (!accepts(type, livemode)) return ignore();
      const account = accountOf(body);
      const translation = translate(data?.object, {
        account: account ?? config.STRIPE_ACCOUNT_ID,
        apiVersion: api_version ?? undefined,
        second: created,
        eventId: id,
        type,
      });
      if (!translation) {
        log.warn({ event: id, type }, 'ignored an event without a Checkout Session that can be stored');
        return ignore();
      }
      const result = await apply(translation, {
        id,
        type,
        account: account ?? null,
        livemode: livemode ?? null,
        apiVersion: api_version ?? null,
        created,
      });
      if (result.outcome === 'applied' && lacksLineItems(translation.state)) {
        onMissingLineItems?.({ id: translation.state.id, second: created, account: accountPathOf(body) });
      }
      return result;
    },

    /**
     * Ingests a snapshot, with the thin event that caused it when there is one. The state's stamp has the snapshot's second
     * and the event's id.
     */
    async snapshot(snapshot: Snapshot, event?: StripeEvent): Promise<IngestResult> {
      const translation = translateSnapshot(snapshot, event);
      return translation ? apply(translation, event) : ignore();
    },

    /**
     * Ingests snapshots in one batch. Returns the results in the same order. The caller must not pass two snapshots of one
     * session.
     */
    async snapshots(batch: readonly Snapshot[]): Promise<IngestResult[]> {
      const translations = batch.map((snapshot) => translateSnapshot(snapshot));
      const states = translations.flatMap((translation) => (translation ? [translation.state] : []));
      const applied = states.length > 0 ? await mirror.applyAll(states) : [];
      return translations.map((translation) => {
        if (!translation) return ignore();
        const outcome = applied[states.indexOf(translation.state)] as Outcome;
        logProjections(translation, outcome);
        return { outcome, session: translation.state.id };
      });
    },
  };
}

/** Whether a session is complete and came without line items. A setup session has none. */
function lacksLineItems({ status, stamp, carried }: SessionState): boolean {
  // API versions before 2021 have no status.
  const isComplete = status === 'complete' || (status === null && stamp.progress > 0);
  return isComplete && carried.display_items === undefined && carried.mode !== 'setup';
}
