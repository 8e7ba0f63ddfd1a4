/** Reads the code blocks of the documentation, for the tests and the generated clients. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/**
 * @typedef {object} CodeBlock
 * @property {string} place such as `README.md:24`
 * @property {string} language
 * @property {string} text
 */

const root = new URL('../../', import.meta.url);
const docs = new URL('docs/', root);

/** The README and the pages of docs/. @type {readonly string[]} */
export const pages = [
  'README.md',
  ...(existsSync(docs) ? readdirSync(docs) : []).filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`),
];

/** Returns the blocks of a page, in their order. @param {string} page @returns {CodeBlock[]} */
export function codeBlocks(page) {
  const source = readFileSync(new URL(page, root), 'utf8');
  return [...source.matchAll(/^( *)```(\w*)[^\n]*\n(.*?)^\1```$/gms)].map((block) => {
    const [, indent = '', language = '', code = ''] = block;
    const line = source.slice(0, block.index).split('\n').length;
    return { place: `${page}:${line}`, language, text: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') };
  });
}

/**
 * Returns the commands of a console block, without comments. Joins lines that end with a backslash.
 *
 * @param {CodeBlock} block
 */
export function commands({ text }) {
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  return lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2).replace(/\s{2,}#.*$/, ''));
}
