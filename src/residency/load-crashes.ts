import { AsrproError } from '../errors.ts';

/** So many crashes while loading and the model is to blame, not the machine. */
const REFUSED_AFTER = 3;
/** Not `worker_start_failed`: a worker that dies before it heard of the model is the restart policy's. */
const CRASHES = new Set(['worker_crashed', 'worker_unresponsive', 'out_of_memory']);

/** Remembers which models kill their worker while they are loaded, so that requests do not try it again and again. */
export class LoadCrashes {
  readonly #byModel = new Map<string, { count: number; reason: string }>();

  /** Whether the error means that the process died, which is counted. */
  note(model: string, error: AsrproError): boolean {
    if (!CRASHES.has(error.code)) return false;
    this.#byModel.set(model, { count: (this.#byModel.get(model)?.count ?? 0) + 1, reason: error.message });
    return true;
  }

  /** The model was loaded, or somebody asked for it by name: it starts anew. */
  forgive(model: string): void {
    this.#byModel.delete(model);
  }

  /** Throws `model_load_failed` for a model that is refused. */
  check(model: string): void {
    const entry = this.#byModel.get(model);
    if (entry === undefined || entry.count < REFUSED_AFTER) return;
    throw new AsrproError(
      'model_load_failed',
      `The model '${model}' crashed ${entry.count} times while it was loaded and is not tried again: ${entry.reason}`,
      { param: 'model', hint: 'Load it with POST /v1/settings/model to try once more.' },
    );
  }
}
