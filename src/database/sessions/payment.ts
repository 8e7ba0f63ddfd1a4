import { shardHint } from './statement.js';

/**
 * The SQL of a session's last event, as the last properties of the payment's JSON. Stripe's times have whole seconds. Within
 * one second the outcome of a delayed payment counts as later than the completion.
 */
const lastEventSql = `coalesce((
    SELECT concat('"last_event_type":', to_json(e.type),
      ',"last_event_at":"', to_char(e.created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      '","payment_failed":',
      to_json(s.payment_status IS NOT DISTINCT FROM 'unpaid' AND e.type = 'checkout.session.async_payment_failed'))
    FROM stripe_event AS e WHERE e.session_id = s.id ${shardHint('e.session_id')}
    ORDER BY e.created DESC, starts_with(e.type, 'checkout.session.async_payment_') DESC, e.id DESC LIMIT 1
  ), '"last_event_type":null,"last_event_at":null,"payment_failed":false')`;

/** The SQL of the payment of a session `s` as JSON text. It is null if the session has no state from Stripe. */
export const paymentSql = `CASE WHEN s.stripe_data IS NOT NULL THEN
  left(checkout_session_payment(s.id, s.livemode, s.stripe_data), -1) || ',' || ${lastEventSql} || '}' END`;
