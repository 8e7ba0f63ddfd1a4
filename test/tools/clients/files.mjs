import { fileURLToPath } from 'node:url';

/** The reviewed contract: the input of every generator. */
export const contract = fileURLToPath(new URL('../../openapi.json', import.meta.url));

/** Returns the absolute path of a file or folder beside this one. @param {string} path */
export const clientFile = (path) => fileURLToPath(new URL(path, import.meta.url));
