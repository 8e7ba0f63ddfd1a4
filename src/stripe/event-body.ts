import type { Static } from 'typebox';
import { isTooDeep, textFault } from '../model/json.js';
import { accountOfPath, isAccountPath, SnapshotEvent } from '../model/stripe.js';
import { validator } from '../model/validator.js';

/** Parses the body of a Stripe event. Pure. */

/** The event types that carry a session. */
export const sessionEventTypes = ['completed', 'async_payment_succeeded', 'async_payment_failed', 'expired'].map(
  (name) => `checkout.session.${name}`,
);

/** The fields of an event that this service reads. */
export type EventBody = Static<typeof SnapshotEvent> & { readonly data?: { readonly object?: unknown } };

type WithAccount = Pick<EventBody, 'account' | 'context'>;

/** Returns the account of an event. An organization's event names it in `context` alone. */
export function accountOf({ account, context }: WithAccount): string | undefined {
  return account ?? accountOfPath(context);
}

/** Returns the path to the account of an event. An organization's key reads the account by this path. */
export function accountPathOf({ account, context }: WithAccount): string | undefined {
  return context && isAccountPath(context) ? context : (account ?? undefined);
}

const faultsOf = validator(SnapshotEvent, 'body');

/** An event, or the reason why a JSON value is not one. */
export type ParsedEvent = { readonly event: EventBody } | { readonly fault: string };

/** Checks that a JSON value is an event. */
export function parseEvent(body: unknown): ParsedEvent {
  const [invalid] = faultsOf(body);
  if (invalid) return { fault: `${invalid.pointer.slice(1)} ${invalid.detail}`.trim() };
  if (isTooDeep(body)) return { fault: 'it is nested too deeply' };
  const event = body as EventBody;
  const { id, type, account, api_version } = event;
  const fault = unstorableTextFault({ id, type, account: account ?? '', api_version: api_version ?? '' });
  return fault === undefined ? { event } : { fault };
}

/** Returns a fault that names the first text that PostgreSQL cannot store, or undefined when it can store all. */
export function unstorableTextFault(texts: Readonly<Record<string, string>>): string | undefined {
  const [name] = Object.entries(texts).find(([, text]) => textFault(text)) ?? [];
  return name && `${name} contains text that cannot be stored`;
}
