import { readdirSync } from 'node:fs';
import path from 'node:path';
import { statOf } from '../config/foreign-file.ts';
import type { AsrproError } from '../errors.ts';
import type { Model } from './model.ts';
import { stampOf } from './remembered.ts';

/**
 * Models whose files an engine has found to be damaged, which no look from outside can see: weights that are cut, a
 * tokenizer that does not parse. It holds as long as the files stay as they are.
 */
export class LoadFailures {
  readonly #byPlace = new Map<string, { stamp: string; reason: string }>();

  /** `null`: it was loaded. Failures that say nothing about the files (memory, device, a crash) are not kept. */
  note({ path: place }: Pick<Model, 'path'>, failure: AsrproError | null): void {
    if (place === null) return;
    if (failure === null) this.#byPlace.delete(place);
    else if (failure.code === 'model_broken') {
      this.#byPlace.set(place, { stamp: stampOf(filesOf(place)), reason: failure.message });
    }
  }

  /** What the engine said; null where nothing is known, or something about the files has changed since. */
  reason(place: string): string | null {
    const known = this.#byPlace.get(place);
    if (known === undefined) return null;
    if (known.stamp === stampOf(filesOf(place))) return known.reason;
    this.#byPlace.delete(place);
    return null;
  }
}

/** The place itself and everything in it. */
function filesOf(place: string): string[] {
  if (!statOf(place)?.isDirectory()) return [place];
  try {
    const names = readdirSync(place, { recursive: true }).map(String).sort();
    return [place, ...names.map((name) => path.join(place, name))];
  } catch {
    return [place];
  }
}
