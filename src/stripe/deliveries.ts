import type { FastifyBaseLogger } from 'fastify';
import type { StripeEventStore } from '../database/events.js';
import { Problem } from '../errors.js';
import { isSessionId } from '../model/session.js';
import { parseTimestamp } from '../model/timestamp.js';
import type { Delivery, ThinEventBody } from './delivery-body.js';
import type { Fetch } from './fetch.js';
import { accountOf, accountPathOf, type Ingest, type IngestResult, type Snapshot } from './ingest.js';

/** Takes in what Stripe delivered. It fails where Stripe is to repeat the delivery. */
export type IngestDelivery = (delivery: Delivery) => Promise<IngestResult>;

interface Options {
  readonly ingest: Ingest;
  readonly fetch: Fetch;
  readonly events: StripeEventStore;
  readonly log: FastifyBaseLogger;
}

/** Creates what takes in deliveries: the session of a thin event is fetched first. */
export function createDeliveryIngest({ ingest, fetch, events, log }: Options): IngestDelivery {
  /** A thin event names its session, which is fetched. Nothing is fetched for an event that was taken in before. */
  async function takeThin(event: ThinEventBody, type: string): Promise<IngestResult> {
    const { id, livemode, snapshot_event, related_object } = event;
    if (!ingest.accepts(type, livemode)) return ingest.ignore();
    const session = related_object?.id;
    const isSession = (related_object?.type ?? 'checkout.session') === 'checkout.session';
    if (!isSession || !isSessionId(session)) {
      log.warn({ event: id, type }, 'ignored a thin event that names no Checkout Session');
      return ingest.ignore();
    }
    const known = await events.hasAny(session, snapshot_event ? [id, snapshot_event] : [id]);
    if (known) return { outcome: 'duplicate', session };
    const created = Math.floor(Date.parse(parseTimestamp(event.created) ?? '') / 1000);
    const snapshot = await fetchOrNone(session, accountPathOf(event), created);
    if (!snapshot) {
      log.warn({ event: id, type, session }, 'ignored a thin event of a Checkout Session that Stripe does not have');
      return ingest.ignore();
    }
    return ingest.snapshot(snapshot, {
      id,
      type,
      account: accountOf(event) ?? null,
      livemode: livemode ?? null,
      apiVersion: snapshot.apiVersion ?? null,
      created,
    });
  }

  /** Undefined where Stripe has no such session: a repetition of the delivery would not find one either. */
  async function fetchOrNone(
    session: string,
    account: string | undefined,
    since: number,
  ): Promise<Snapshot | undefined> {
    try {
      return await fetch(session, { account, since });
    } catch (error) {
      if (error instanceof Problem && error.code === 'session-not-found') return undefined;
      throw error;
    }
  }

  return async (delivery) => {
    switch (delivery.kind) {
      case 'snapshot':
        return ingest.event(delivery.event);
      case 'thin':
        return takeThin(delivery.event, delivery.type);
      case 'unreadable':
        log.warn({ reason: delivery.reason }, 'ignored a signed body that is no event');
        return ingest.ignore();
    }
  };
}
