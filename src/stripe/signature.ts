import Stripe from 'stripe';

// The SDK's own check uses no key and makes no call.
const { signature } = new Stripe('sk_test_unused').webhooks as { signature: NonNullable<Stripe.Webhooks['signature']> };

/**
 * Checks the `Stripe-Signature` of a webhook delivery with the official SDK, against every secret, so that secrets
 * can be rotated and live and test share an endpoint (https://docs.stripe.com/webhooks#verify-manually).
 *
 * @param payload the body, best as text: the SDK decodes bytes anew for each secret.
 * @param tolerance seconds that the signed time may be away from now, in the past or, which the SDK lets pass, in
 *   the future.
 * @returns why it is refused, or undefined when it is genuine.
 */
export function signatureFault(
  payload: string | Buffer,
  header: string | undefined,
  secrets: readonly string[],
  tolerance: number,
): string | undefined {
  if (header === undefined) return 'There is no Stripe-Signature header.';
  const timestamp = Number(/(?:^|,)\s*t=(\d+)/.exec(header)?.[1]);
  if (timestamp > Date.now() / 1000 + tolerance) return 'The time of the signature is in the future.';
  let reason = 'No signature matches.';
  for (const secret of secrets) {
    try {
      if (signature.verifyHeader(payload, header, secret, tolerance)) return undefined;
    } catch (error) {
      if (/tolerance/i.test((error as Error).message)) reason = 'The time of the signature is too long ago.';
    }
  }
  return reason;
}
