import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** A file of the console, in memory: a path of a request is looked up here and never on the disk. */
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

/** The modules of the libraries, by the name that the page imports them by: what is served of each, and where it is installed. */
const libraries: Readonly<Record<string, { served: string; package: string; file: string }>> = {
  preact: { served: 'preact.js', package: 'preact', file: 'dist/preact.mjs' },
  'preact/hooks': { served: 'preact-hooks.js', package: 'preact', file: 'hooks/dist/hooks.mjs' },
  htm: { served: 'htm.js', package: 'htm', file: 'dist/htm.module.js' },
};

const folder = fileURLToPath(new URL('../console/', import.meta.url));
const { resolve } = createRequire(import.meta.url);

/**
 * Reads the files of the console, by the name that each is served as. They are served as they are written, except that
 * modules import a library by its URL: the names of packages would need an import map, which is an inline script.
 *
 * @param settings what the page has to know of this service before it asks for anything: attributes of its root element.
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

/** Reads a module of a package, without the comment that names its source map, which is not served. */
function readLibrary({ package: name, file }: { package: string; file: string }): string {
  // Not every package exports its package.json: the entry stands in a folder of the package.
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
