import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const outcome = z.object({ usable: z.literal(true), computeTypes: z.array(z.string()), reason: z.null() });
export type UsableOutcome = z.infer<typeof outcome>;

/**
 * Successful test inferences on GPUs, cached on disk, because a repetition delays a start by 3 s (measured). The key
 * contains everything that a result depends on: engine, packages, card, driver. Failures are not cached: the card may
 * have been full, or the driver may start later. A file that cannot be read or written counts as empty.
 */
export interface OutcomeCache {
  get(key: string): UsableOutcome | undefined;
  set(key: string, value: UsableOutcome): void;
  forget(): void;
}

export function createOutcomeCache(file: string): OutcomeCache {
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
        // The next start repeats the test.
      }
    },
    forget() {
      known = {};
      rmSync(file, { force: true });
    },
  };
}
