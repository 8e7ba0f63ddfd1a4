import Stripe from 'stripe';

// The SDK needs a key to construct. The signature check does not use it and makes no call.
const { signature } = new Stripe('sk_test_unused').webhooks as { signature: NonNullable<Stripe.Webhooks['signature']> };

/**
 * Checks the `Stripe-Signature` of a webhook delivery with the official SDK
 * (https://docs.stripe.com/webhooks#verify-manually). Any of the secrets may match, so that secrets can be rotated, and
 * live and test mode can share one endpoint.
 *
 * @param payload the body. Pass text: the SDK decodes bytes again for each secret.
 * @param tolerance maximum difference in seconds between the signed time and now. The SDK checks the past only, so this
 *   function checks the future.
 * @returns the reason to refuse the delivery, or undefined when the signature is genuine.
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
