import path from 'node:path';

export const root: string = path.dirname(import.meta.dirname);
export const dist: string = path.join(root, 'dist');
/** Name of the file with the licences of third-party code. */
export const LICENCES = 'THIRD-PARTY-LICENSES.txt';
