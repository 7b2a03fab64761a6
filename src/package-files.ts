import { fileURLToPath } from 'node:url';

/** A file that comes with the program: beside `src` in a checkout, beside `dist` in the package. */
export function packageFile(relative: string): string {
  return fileURLToPath(new URL(`../${relative}`, import.meta.url));
}
