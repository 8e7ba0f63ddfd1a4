/** Reads the documentation: code blocks, headings, links. Used by the tests and the tools. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/**
 * @typedef {object} CodeBlock
 * @property {string} page such as `docs/api.md`
 * @property {string} place such as `README.md:24`
 * @property {string} language
 * @property {string} text
 *
 * @typedef {{ place: string, text: string }} Line
 * @typedef {{ place: string, target: string }} Link
 */

const root = new URL('../../', import.meta.url);
const docs = new URL('docs/', root);

/** The README and the pages of docs/. @type {readonly string[]} */
export const pages = [
  'README.md',
  ...(existsSync(docs) ? readdirSync(docs) : []).filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`),
];

const read = (/** @type {string} */ page) => readFileSync(new URL(page, root), 'utf8');

/** Returns the blocks of a page, in their order. @param {string} page @returns {CodeBlock[]} */
export function codeBlocks(page) {
  const source = read(page);
  return [...source.matchAll(/^( *)```(\w*)[^\n]*\n(.*?)^\1```$/gms)].map((block) => {
    const [, indent = '', language = '', code = ''] = block;
    const line = source.slice(0, block.index).split('\n').length;
    return { page, place: `${page}:${line}`, language, text: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') };
  });
}

/**
 * Returns the commands of a console block, without comments. Joins lines that end with a backslash.
 *
 * @param {Pick<CodeBlock, 'text'>} block
 */
export function commands({ text }) {
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  return lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2).replace(/\s{2,}#.*$/, ''));
}

/** Returns the lines of a page outside code blocks. @param {string} page @returns {Line[]} */
export function prose(page) {
  let isCode = false;
  return read(page)
    .split('\n')
    .flatMap((text, index) => {
      const isFence = /^ *```/.test(text);
      if (isFence) isCode = !isCode;
      return isCode || isFence ? [] : [{ place: `${page}:${index + 1}`, text }];
    });
}

/** Returns the anchors of a page's headings, by GitHub's rule. @param {string} page @returns {string[]} */
export function anchors(page) {
  /** @type {Map<string, number>} */
  const seen = new Map();
  return prose(page).flatMap(({ text }) => {
    const [, heading] = /^#{1,6} +(.+?) *#*$/.exec(text) ?? [];
    if (heading === undefined) return [];
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '').replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return [count === 0 ? slug : `${slug}-${count}`];
  });
}

/** Returns the targets of the links and images of a page. @param {string} page @returns {Link[]} */
export function links(page) {
  return prose(page).flatMap(({ place, text }) => {
    const plain = text.replaceAll(/`[^`]*`/g, '');
    const inText = [...plain.matchAll(/\]\(([^()\s]+(?:\([^()]*\))?)\)/g)];
    const inTags = [...plain.matchAll(/\b(?:href|src|srcset)="([^"]+)"/g)];
    return [...inText, ...inTags].map(([, target = '']) => ({ place, target }));
  });
}
