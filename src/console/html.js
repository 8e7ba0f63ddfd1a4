import htm from 'htm';
import { h } from 'preact';

/**
 * Writes elements as they are written in HTML. A value is text or a property, never markup.
 *
 * @type {(strings: TemplateStringsArray, ...values: unknown[]) => import('preact').ComponentChild}
 */
export const html = htm.bind(h);
