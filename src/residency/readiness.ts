import type { ModelEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';

/**
 * Refuses a model that cannot be loaded, before the loaded model is given up for it. Throws `model_not_found` when it
 * is not downloaded, `engine_not_installed`, `model_not_ready` when it is incomplete, and `model_broken` when the engine
 * found its files damaged and they have not changed since. `retryBroken` allows another attempt at damaged files.
 */
export async function requireReady(
  model: Model,
  requireEngine: (engine: ModelEngine) => Promise<void>,
  { retryBroken = false } = {},
): Promise<void> {
  if (model.ready || (model.broken && retryBroken)) return;
  const reason = model.reason ?? 'its files are incomplete';
  if (!model.downloaded) {
    throw new AsrproError('model_not_found', `The model '${model.id}' cannot be used: ${reason}`, { param: 'model' });
  }
  await requireEngine(model.engine);
  if (model.broken) throw new AsrproError('model_broken', reason, { param: 'model' });
  throw new AsrproError('model_not_ready', `The model '${model.id}' cannot be used: ${reason}`, { param: 'model' });
}
