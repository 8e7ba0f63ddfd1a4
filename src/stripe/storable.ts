import { textFault } from '../model/json.js';

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Matches the JSON escapes of U+0000 and of surrogates, which PostgreSQL cannot store. An ordinary text may contain them
 * too.
 */
const unstorableEscape = /\\u(?:0000|d[89a-f])/;

/**
 * Returns an object that PostgreSQL can store, and its JSON. U+0000 and lone surrogates become U+FFFD.
 *
 * @param onReplaced called for each text that had to change.
 */
export function storable(object: JsonObject, onReplaced: () => void): { raw: JsonObject; json: string } {
  const json = JSON.stringify(object);
  // Nearly every object passes here, and is not copied.
  if (!unstorableEscape.test(json)) return { raw: object, json };
  const raw = replaceUnstorable(object, onReplaced) as JsonObject;
  return { raw, json: JSON.stringify(raw) };
}

function replaceUnstorable(value: unknown, onReplaced: () => void): unknown {
  const clean = (text: string): string => {
    if (textFault(text) === undefined) return text;
    onReplaced();
    return text.toWellFormed().replaceAll('\0', '\uFFFD');
  };
  const walk = (node: unknown): unknown => {
    if (typeof node === 'string') return clean(node);
    if (Array.isArray(node)) return node.map(walk);
    if (node === null || typeof node !== 'object') return node;
    return Object.fromEntries(Object.entries(node).map(([key, member]) => [clean(key), walk(member)]));
  };
  return walk(value);
}
