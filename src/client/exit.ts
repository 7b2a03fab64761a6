/** How a sidecar ended. */
export interface Exit {
  /** `stopped`: by `stop()` or a signal, with all requests finished. `failed`: by an error. `killed`: by the system. */
  reason: 'stopped' | 'failed' | 'killed';
  code: number | null;
  signal: NodeJS.Signals | null;
  /** One sentence for the app's log. */
  message: string;
  /** The last 8192 characters of its log. */
  lastWords: string;
}

/** Meaning of the exit codes 1 to 5 (docs/embedding.md). */
const MEANING: Record<number, string> = {
  1: 'it failed',
  2: 'its command line or configuration is invalid',
  3: 'its address is in use',
  4: 'an engine is missing or broken',
  5: 'a model is missing or broken',
};

/** @param stopRequested whether `stop()` was called before. */
export function describeExit(
  code: number | null,
  signal: NodeJS.Signals | null,
  lastWords: string,
  stopRequested: boolean,
): Exit {
  const facts = { code, signal, lastWords };
  if (code === 0) return { ...facts, reason: 'stopped', message: 'asrpro was stopped.' };
  if (signal === null) {
    const why = MEANING[code ?? 1] ?? 'it crashed';
    return { ...facts, reason: 'failed', message: `asrpro ended with code ${code}: ${why}.` };
  }
  if (stopRequested) {
    return { ...facts, reason: 'killed', message: 'asrpro did not stop in time and was killed.' };
  }
  return { ...facts, reason: 'killed', message: `asrpro was ended by ${signal} from outside.` };
}
