import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Plugin } from 'esbuild';

/** A change to the source of a package, applied when it is bundled. */
export interface Patch {
  file: RegExp;
  change(source: string): string;
}

/** Applies patches. The build fails if a patch no longer matches its package, because the result would be untested. */
export function patched(name: string, patches: readonly Patch[]): Plugin {
  return {
    name,
    setup({ onLoad, onEnd }) {
      const waiting = new Set(patches);
      for (const patch of patches) {
        onLoad({ filter: patch.file }, async ({ path: file }) => {
          const before = await readFile(file, 'utf8');
          const contents = patch.change(before);
          if (contents === before) throw new Error(`the patch ${patch.file} finds nothing to change in ${file}`);
          waiting.delete(patch);
          return { contents, resolveDir: path.dirname(file), loader: 'default' };
        });
      }
      onEnd(() => {
        for (const { file } of waiting) throw new Error(`the patch ${file} has met no file of the program`);
      });
    },
  };
}

/** Replaces a whole module with other code. The build fails if nothing imports the module. */
export function inPlaceOf(specifier: RegExp, contents: string): Plugin {
  return {
    name: `in-place-of-${specifier.source}`,
    setup({ onResolve, onLoad, onEnd }) {
      let met = false;
      const namespace = `in-place-of-${specifier.source}`;
      onResolve({ filter: specifier }, ({ path: name }) => ({ path: name.replace(/^node:/, ''), namespace }));
      onLoad({ filter: /.*/, namespace }, () => {
        met = true;
        return { contents, resolveDir: import.meta.dirname };
      });
      onEnd(() => {
        if (!met) throw new Error(`nothing in the program imports ${specifier}`);
      });
    },
  };
}
