import htm from 'htm';
import { h } from 'preact';

/**
 * Creates elements from a template of HTML. A value becomes text or a property, never markup.
 *
 * @type {(strings: TemplateStringsArray, ...values: unknown[]) => import('preact').ComponentChild}
 */
export const html = htm.bind(h);
