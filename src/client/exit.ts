/** How a sidecar ended. */
export interface Exit {
  /** `stopped`: as asked, by `stop()` or a signal, with everything drained. `failed`: by itself. `killed`: by the system. */
  reason: 'stopped' | 'failed' | 'killed';
  code: number | null;
  signal: NodeJS.Signals | null;
  /** One sentence for the app's log. */
  message: string;
  /** The last 8 KiB of its log. */
  lastWords: string;
}

/** What exit codes 1 to 5 mean (docs/embedding.md). */
const MEANING: Record<number, string> = {
  1: 'it failed',
  2: 'it was used wrongly, or its configuration is invalid',
  3: 'its address is in use',
  4: 'an engine is missing or broken',
  5: 'a model is missing or broken',
};

/** @param asked `stop()` was called before. */
export function describeExit(
  code: number | null,
  signal: NodeJS.Signals | null,
  lastWords: string,
  asked: boolean,
): Exit {
  const facts = { code, signal, lastWords };
  if (code === 0) return { ...facts, reason: 'stopped', message: 'asrpro was stopped.' };
  if (signal === null) {
    const why = MEANING[code ?? 1] ?? 'it crashed';
    return { ...facts, reason: 'failed', message: `asrpro ended with code ${code}: ${why}.` };
  }
  if (asked) {
    return { ...facts, reason: 'killed', message: 'asrpro did not stop in time and was killed.' };
  }
  return { ...facts, reason: 'killed', message: `asrpro was ended from outside by ${signal}.` };
}
