import { AsrproError } from '../errors.ts';

/** So many crashes while loading and the model is to blame, not the machine. */
const REFUSED_AFTER = 3;
/** Not `worker_start_failed`: a worker that dies before it heard of the model is the restart policy's. */
const CRASHES = new Set(['worker_crashed', 'worker_unresponsive', 'out_of_memory']);

/** Models that killed their worker while they were loaded. An entry goes when one is loaded, or asked for by name. */
export type LoadCrashes = Map<string, { count: number; reason: string }>;

/** Counts the error if it means that the process died; false where it does not. */
export function noteLoadCrash(crashes: LoadCrashes, model: string, error: AsrproError): boolean {
  if (!CRASHES.has(error.code)) return false;
  crashes.set(model, { count: (crashes.get(model)?.count ?? 0) + 1, reason: error.message });
  return true;
}

/** Why a request does not get the model; null where it may be tried. */
export function refusal(crashes: LoadCrashes, model: string): AsrproError | null {
  const entry = crashes.get(model);
  if (entry === undefined || entry.count < REFUSED_AFTER) return null;
  return new AsrproError(
    'model_load_failed',
    `The model '${model}' crashed ${entry.count} times while it was loaded and is not tried again: ${entry.reason}`,
    { param: 'model', hint: 'Load it with POST /v1/settings/model to try once more.' },
  );
}
