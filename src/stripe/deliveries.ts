import type { FastifyBaseLogger } from 'fastify';
import type { StripeEventStore } from '../database/events.js';
import { Problem } from '../errors.js';
import { isSessionId } from '../model/session.js';
import { parseTimestamp } from '../model/timestamp.js';
import type { Delivery, ThinEventBody } from './delivery-body.js';
import { accountOf, accountPathOf } from './event-body.js';
import type { Fetch } from './fetch.js';
import type { Ingest, IngestResult, Snapshot } from './ingest.js';

/** Ingests a delivery of Stripe's webhook. It throws when Stripe should repeat the delivery. */
export type IngestDelivery = (delivery: Delivery) => Promise<IngestResult>;

interface Options {
  readonly ingest: Ingest;
  readonly fetch: Fetch;
  readonly events: StripeEventStore;
  readonly log: FastifyBaseLogger;
}

/** Returns the function that ingests deliveries. It fetches the session of a thin event from Stripe. */
export function createDeliveryIngest({ ingest, fetch, events, log }: Options): IngestDelivery {
  /** Ingests a thin event: fetches the session that it names, unless the ledger has the event already. */
  async function ingestThin(event: ThinEventBody, type: string): Promise<IngestResult> {
    const { id, livemode, snapshot_event, related_object } = event;
    if (!ingest.accepts(type, livemode)) return ingest.ignore();
    const session = related_object?.id;
    const isSession = (related_object?.type ?? 'checkout.session') === 'checkout.session';
    if (!isSession || !isSessionId(session)) {
      log.warn({ event: id, type }, 'ignored a thin event that names no Checkout Session');
      return ingest.ignore();
    }
    const isKnown = await events.hasAny(session, snapshot_event ? [id, snapshot_event] : [id]);
    if (isKnown) return { outcome: 'duplicate', session };
    const created = Math.floor(Date.parse(parseTimestamp(event.created) ?? '') / 1000);
    const snapshot = await fetchIfPresent(session, accountPathOf(event), created);
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

  /** Returns undefined when Stripe has no such session: repeating the delivery would not find one either. */
  async function fetchIfPresent(
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
        return ingestThin(delivery.event, delivery.type);
      case 'unreadable':
        log.warn({ reason: delivery.reason }, 'ignored a signed body that is not an event');
        return ingest.ignore();
    }
  };
}
