import type { Services } from '../app.ts';
import { requiredEnvironment } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { CommandContext } from './command.ts';
import { pullModel } from './pull.ts';
import { setupEngine } from './setup.ts';

/** Installs the engine environment and the default model where they are missing. */
export async function installMissing(context: CommandContext, services: Services): Promise<void> {
  const environment = requiredEnvironment(context.config.cluster.address !== null);
  const { installed } = await services.engines.status(environment);
  if (!installed) await setupEngine(context, services, environment);
  const model = await services.library.default();
  if (model === undefined || model.downloaded) return;
  try {
    await pullModel(context, services, model.id);
  } catch (error) {
    // The user may have other models, so this is an error only if no model is ready.
    const ready = (await services.library.list()).some((other) => other.ready);
    if (!ready || !(error instanceof AsrproError)) throw error;
    context.log.warn(`The default model could not be downloaded: ${error.message}`);
  }
}
