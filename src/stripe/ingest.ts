import type { FastifyBaseLogger } from 'fastify';
import type { Static } from 'typebox';
import type { Config } from '../config.js';
import type { MirrorStore } from '../database/sessions/mirror.js';
import type { Outcome } from '../database/sessions/upsert.js';
import { isTooDeep, textFault } from '../model/json.js';
import { accountOfPath, isAccountPath, type SessionState, SnapshotEvent, type StripeEvent } from '../model/stripe.js';
import { validator } from '../model/validator.js';
import { type Translation, translate } from './translate.js';

/** What was done with something of Stripe's: `ignored` is what the mirror does not hold. */
export interface IngestResult {
  readonly outcome: Outcome | 'ignored';
  /** The id of the session, where there is one. */
  readonly session?: string;
}

/** A Stripe object that was asked for, rather than sent. */
export interface Snapshot {
  readonly object: unknown;
  /** The account that was asked, or the path to it; the configured one when undefined. */
  readonly account?: string | undefined;
  readonly apiVersion?: string | undefined;
  /** The whole epoch second before it was asked for. */
  readonly second: number;
}

type IngestConfig = Pick<Config, 'STRIPE_LIVEMODE' | 'STRIPE_ACCOUNT_ID'>;

export type Ingest = ReturnType<typeof createIngest>;

/** The types of event that carry a session. */
export const sessionEventTypes = ['completed', 'async_payment_succeeded', 'async_payment_failed', 'expired'].map(
  (name) => `checkout.session.${name}`,
);

const ignored: IngestResult = { outcome: 'ignored' };

/** Receives a completed session whose event brought no line items. */
export type OnMissingLineItems = (session: { id: string; second: number; account?: string | undefined }) => void;

/**
 * The one way in for all that comes from Stripe: translate, note what was projected, apply.
 *
 * @param onMissingLineItems called once the event is committed.
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
    note(translation, outcome, event);
    return { outcome, session: translation.state.id };
  }

  function note({ state, projections }: Translation, outcome: Outcome, event?: StripeEvent): void {
    if (projections.length === 0 || outcome !== 'applied') return;
    counts.projected += 1;
    log.warn(
      { session: state.id, event: event?.id, projections, count: counts.projected },
      'projected what the contract cannot hold',
    );
  }

  function translated({ object, account, apiVersion, second }: Snapshot, event?: StripeEvent): Translation | undefined {
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
    /** Since the start: states with something that the contract cannot hold, and what was ignored. */
    counts: counts as Readonly<typeof counts>,

    /** Counts what carries no session that is taken in. */
    ignore,

    /** Whether an event is of a Checkout Session and of a mode that is taken in. */
    accepts,

    /** Takes in an event's body. `ignored`: of another type, of the other mode, of an id that cannot be held. */
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
        log.warn({ event: id, type }, 'ignored an event without a Checkout Session that can be held');
        return ignore();
      }
      const ingested = await apply(translation, {
        id,
        type,
        account: account ?? null,
        livemode: livemode ?? null,
        apiVersion: api_version ?? null,
        created,
      });
      if (ingested.outcome === 'applied' && lacksLineItems(translation.state)) {
        onMissingLineItems?.({ id: translation.state.id, second: created, account: accountPathOf(body) });
      }
      return ingested;
    },

    /**
     * Takes in an object that was asked for, and the event that made it be asked for. The state is stamped with the second
     * of the snapshot and the event's id.
     */
    async snapshot(snapshot: Snapshot, event?: StripeEvent): Promise<IngestResult> {
      const translation = translated(snapshot, event);
      return translation ? apply(translation, event) : ignore();
    },

    /** Takes in many objects, no two of the same session; what became of each, in their order. */
    async snapshots(list: readonly Snapshot[]): Promise<IngestResult[]> {
      const translations = list.map((snapshot) => translated(snapshot));
      const states = translations.flatMap((translation) => (translation ? [translation.state] : []));
      const applied = states.length > 0 ? await mirror.applyAll(states) : [];
      return translations.map((translation) => {
        if (!translation) return ignore();
        const outcome = applied[states.indexOf(translation.state)] as Outcome;
        note(translation, outcome);
        return { outcome, session: translation.state.id };
      });
    },
  };
}

/** Whether Stripe says that a session is complete and sent no line items with it. */
function lacksLineItems({ status, stamp, carried }: SessionState): boolean {
  // Versions before 2021 have no status.
  const isComplete = status === 'complete' || (status === null && stamp.progress > 0);
  return isComplete && carried.display_items === undefined && carried.mode !== 'setup';
}

/** The envelope of an event, as far as it matters here. */
export type EventBody = Static<typeof SnapshotEvent> & { readonly data?: { readonly object?: unknown } };

type WithAccount = Pick<EventBody, 'account' | 'context'>;

/** Returns the account of an event. Those of an organization name it in `context` alone. */
export function accountOf({ account, context }: WithAccount): string | undefined {
  return account ?? accountOfPath(context);
}

/** Returns the path to the account of an event, by which an organization's key reads it. */
export function accountPathOf({ account, context }: WithAccount): string | undefined {
  return context && isAccountPath(context) ? context : (account ?? undefined);
}

const faultsOf = validator(SnapshotEvent, 'body');

/** An event, or why a JSON value is none. */
export type ParsedEvent = { readonly event: EventBody } | { readonly fault: string };

/** Reads a JSON value as an event. */
export function parseEvent(body: unknown): ParsedEvent {
  const [invalid] = faultsOf(body);
  if (invalid) return { fault: `${invalid.pointer.slice(1)} ${invalid.detail}`.trim() };
  if (isTooDeep(body)) return { fault: 'it is nested too deep' };
  const event = body as EventBody;
  const { id, type, account, api_version } = event;
  const fault = unstorableTextFault({ id, type, account: account ?? '', api_version: api_version ?? '' });
  return fault === undefined ? { event } : { fault };
}

/** Names the first of some texts that PostgreSQL cannot hold. */
export function unstorableTextFault(texts: Readonly<Record<string, string>>): string | undefined {
  const [name] = Object.entries(texts).find(([, text]) => textFault(text)) ?? [];
  return name && `${name} holds what is no text`;
}
