import type { Static } from 'typebox';
import { isTooDeep } from '../model/json.js';
import { ThinEvent } from '../model/stripe.js';
import { validator } from '../model/validator.js';
import { type EventBody, parseEvent, unstorableTextFault } from './ingest.js';

/** Reads what Stripe signed. Pure. */

export type ThinEventBody = Static<typeof ThinEvent>;

/** A signed body. Its type is without the `v1.` that the types of thin events begin with. */
export type Delivery =
  | { readonly kind: 'snapshot'; readonly type: string; readonly event: EventBody }
  | { readonly kind: 'thin'; readonly type: string; readonly event: ThinEventBody }
  | { readonly kind: 'unreadable'; readonly type: ''; readonly reason: string };

/**
 * Reads a signed body: an event, a thin event, or either in the envelope of Amazon EventBridge or Azure Event Grid, as a
 * forwarder that signs by itself may send it.
 */
export function readDelivery(payload: string): Delivery {
  let body: unknown;
  try {
    body = JSON.parse(payload);
  } catch {
    return unreadable('no JSON');
  }
  const { event, envelope } = opened(body);
  if (isThin(event)) {
    const fault = thinEventFault(event);
    if (fault) return unreadable(`${envelope}no event: ${fault}`);
    return { kind: 'thin', type: event.type.replace(/^v1\./, ''), event };
  }
  const parsed = parseEvent(event);
  if ('fault' in parsed) return unreadable(`${envelope}no event: ${parsed.fault}`);
  return { kind: 'snapshot', type: parsed.event.type, event: parsed.event };
}

function unreadable(reason: string): Delivery {
  return { kind: 'unreadable', type: '', reason };
}

/** Takes an event out of the envelope of an event bus. */
function opened(body: unknown): { event: unknown; envelope: string } {
  const fields = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (fields['detail-type'] !== undefined) return { event: fields.detail, envelope: 'an EventBridge envelope with ' };
  if (fields.specversion !== undefined) return { event: fields.data, envelope: 'an Event Grid envelope with ' };
  return { event: body, envelope: '' };
}

function isThin(event: unknown): event is ThinEventBody {
  return (event as { object?: unknown } | null | undefined)?.object === 'v2.core.event';
}

const faultsOf = validator(ThinEvent, 'body');

function thinEventFault(event: ThinEventBody): string | undefined {
  const [fault] = faultsOf(event);
  if (fault) return `${fault.pointer.slice(1)} ${fault.detail}`.trim();
  if (isTooDeep(event)) return 'it is nested too deep';
  const { id, type, snapshot_event } = event;
  return unstorableTextFault({ id, type, snapshot_event: snapshot_event ?? '' });
}
