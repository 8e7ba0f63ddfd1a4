import type { Static } from 'typebox';
import { isTooDeep } from '../model/json.js';
import { ThinEvent } from '../model/stripe.js';
import { validator } from '../model/validator.js';
import { type EventBody, parseEvent, unstorableTextFault } from './event-body.js';

/** Parses the signed body of a webhook delivery. Pure. */

export type ThinEventBody = Static<typeof ThinEvent>;

/** A parsed body. `type` is the event's type; a thin event's loses its prefix `v1.`. */
export type Delivery =
  | { readonly kind: 'snapshot'; readonly type: string; readonly event: EventBody }
  | { readonly kind: 'thin'; readonly type: string; readonly event: ThinEventBody }
  | { readonly kind: 'unreadable'; readonly type: ''; readonly reason: string };

/**
 * Parses a signed body: an event, a thin event, or either in the envelope of Amazon EventBridge or Azure Event Grid. A
 * forwarder that signs the body itself may send an envelope.
 */
export function readDelivery(payload: string): Delivery {
  let body: unknown;
  try {
    body = JSON.parse(payload);
  } catch {
    return unreadable('not JSON');
  }
  const { event, envelope } = withoutEnvelope(body);
  if (isThin(event)) {
    const fault = thinEventFault(event);
    if (fault) return unreadable(`${envelope}not an event: ${fault}`);
    return { kind: 'thin', type: event.type.replace(/^v1\./, ''), event };
  }
  const parsed = parseEvent(event);
  if ('fault' in parsed) return unreadable(`${envelope}not an event: ${parsed.fault}`);
  return { kind: 'snapshot', type: parsed.event.type, event: parsed.event };
}

function unreadable(reason: string): Delivery {
  return { kind: 'unreadable', type: '', reason };
}

/** Takes an event out of the envelope of an event bus, and names the envelope for messages: '' when there is none. */
export function withoutEnvelope(body: unknown): { event: unknown; envelope: string } {
  const fields = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (fields['detail-type'] !== undefined) return { event: fields.detail, envelope: 'in an EventBridge envelope: ' };
  if (fields.specversion !== undefined) return { event: fields.data, envelope: 'in an Event Grid envelope: ' };
  return { event: body, envelope: '' };
}

function isThin(event: unknown): event is ThinEventBody {
  return (event as { object?: unknown } | null | undefined)?.object === 'v2.core.event';
}

const faultsOf = validator(ThinEvent, 'body');

function thinEventFault(event: ThinEventBody): string | undefined {
  const [fault] = faultsOf(event);
  if (fault) return `${fault.pointer.slice(1)} ${fault.detail}`.trim();
  if (isTooDeep(event)) return 'it is nested too deeply';
  const { id, type, snapshot_event } = event;
  return unstorableTextFault({ id, type, snapshot_event: snapshot_event ?? '' });
}
