import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const outcome = z.object({ usable: z.literal(true), computeTypes: z.array(z.string()), reason: z.null() });
export type UsableOutcome = z.infer<typeof outcome>;

/**
 * Inferences on GPUs that succeeded, on disk, so that a start does not wait for them again (3 s were measured). The key holds
 * all that a result depends on: engine and packages, card and driver. Failures are not kept: a card may have been
 * full, and a driver may be started later. A file that cannot be read or written counts as empty.
 */
export interface KeptOutcomes {
  get(key: string): UsableOutcome | undefined;
  set(key: string, value: UsableOutcome): void;
  forget(): void;
}

export function keptOutcomes(file: string): KeptOutcomes {
  let known: Record<string, UsableOutcome> | null = null;
  const read = (): Record<string, UsableOutcome> => {
    try {
      known ??= z.record(z.string(), outcome).parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch {
      known = {};
    }
    return known;
  };
  return {
    get: (key) => read()[key],
    set(key, value) {
      read()[key] = value;
      try {
        mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
        const fresh = `${file}.${process.pid}`;
        writeFileSync(fresh, JSON.stringify(known), { mode: 0o600 });
        renameSync(fresh, file);
      } catch {
        // The next start tries the device again.
      }
    },
    forget() {
      known = {};
      rmSync(file, { force: true });
    },
  };
}
