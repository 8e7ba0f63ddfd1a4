import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** A file of the console, in memory: requests never read the disk. */
export interface ConsoleFile {
  readonly type: string;
  readonly body: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The libraries of the page by the name that its modules import: the served file, and the installed one. */
const libraries: Readonly<Record<string, { served: string; package: string; file: string }>> = {
  preact: { served: 'preact.js', package: 'preact', file: 'dist/preact.mjs' },
  'preact/hooks': { served: 'preact-hooks.js', package: 'preact', file: 'hooks/dist/hooks.mjs' },
  htm: { served: 'htm.js', package: 'htm', file: 'dist/htm.module.js' },
};

const folder = fileURLToPath(new URL('../console/', import.meta.url));
const { resolve } = createRequire(import.meta.url);

/**
 * Reads the files of the console by their served names. The only change to a module is that it imports a library by its
 * URL: package names would need an import map, which is an inline script.
 *
 * @param settings facts about this service that the page needs before its first request. They become attributes of its
 * root element.
 */
export function readConsoleFiles(settings: Readonly<Record<string, boolean>>): ReadonlyMap<string, ConsoleFile> {
  const attributes = Object.entries(settings).map(([name, value]) => `data-${name}="${value}"`);
  const own = readdirSync(folder)
    .filter((name) => types[extname(name)] !== undefined)
    .map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const);
  const ofLibraries = Object.values(libraries).map(({ served, ...library }) => [served, readLibrary(library)] as const);
  return new Map(
    [...own, ...ofLibraries].map(([name, text]) => {
      if (name === 'index.html')
        return [name, consoleFile(name, text.replace('<html', `<html ${attributes.join(' ')}`))];
      return [name, consoleFile(name, extname(name) === '.js' ? withUrls(text) : text)];
    }),
  );
}

/** Reads a module of a package. Removes the comment that names its source map, which is not served. */
function readLibrary({ package: name, file }: { package: string; file: string }): string {
  // Not every package exports its package.json, so the path of the entry gives the folder of the package.
  const entry = resolve(name);
  const root = entry.slice(0, entry.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length);
  return readFileSync(join(root, file), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

function withUrls(text: string): string {
  return text.replace(/(\bfrom\s*)(["'])([\w/-]+)\2/g, (whole, from, quote, name) => {
    const library = libraries[name];
    return library ? `${from}${quote}./${library.served}${quote}` : whole;
  });
}

function consoleFile(name: string, text: string): ConsoleFile {
  const body = Buffer.from(text);
  const type = types[extname(name)] as string;
  return { type, body, gzipped: gzipSync(body, { level: 9 }), etag: `"${hash('sha256', text).slice(0, 32)}"` };
}
