import { fileURLToPath } from 'node:url';

/** Absolute path of a file that is shipped with the program: next to `src` in a checkout, next to `dist` in the package. */
export function packageFile(relative: string): string {
  return fileURLToPath(new URL(`../${relative}`, import.meta.url));
}
