import { readdirSync } from 'node:fs';
import path from 'node:path';
import { statOf } from '../config/foreign-file.ts';
import type { AsrproError } from '../errors.ts';
import type { Model } from './model.ts';
import { stampOf } from './remembered.ts';

/**
 * Models whose files an engine found to be damaged: truncated weights, a tokenizer that does not parse. The gateway cannot
 * see this from the files themselves. An entry is valid until the files change.
 */
export class LoadFailures {
  readonly #byPlace = new Map<string, { stamp: string; reason: string }>();

  /**
   * `failure` is null after a successful load. Failures that are not about the files (memory, device, crash) are
   * ignored.
   */
  note({ path: place }: Pick<Model, 'path'>, failure: AsrproError | null): void {
    if (place === null) return;
    if (failure === null) this.#byPlace.delete(place);
    else if (failure.code === 'model_broken') {
      this.#byPlace.set(place, { stamp: stampOf(filesOf(place)), reason: failure.message });
    }
  }

  /** The engine's message; null where no failure is known, or the files have changed since. */
  reason(place: string): string | null {
    const known = this.#byPlace.get(place);
    if (known === undefined) return null;
    if (known.stamp === stampOf(filesOf(place))) return known.reason;
    this.#byPlace.delete(place);
    return null;
  }
}

/** The file or folder itself and everything in it. */
function filesOf(place: string): string[] {
  if (!statOf(place)?.isDirectory()) return [place];
  try {
    const names = readdirSync(place, { recursive: true }).map(String).sort();
    return [place, ...names.map((name) => path.join(place, name))];
  } catch {
    return [place];
  }
}
