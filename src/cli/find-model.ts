import { AsrproError } from '../errors.ts';
import type { Model, ModelLibrary } from '../models/model.ts';
import type { CommandContext } from './command.ts';

/** The model that the first argument of a command names. Throws `usage` if there is none. */
export function modelArgument({ positionals: [reference] }: CommandContext): string {
  if (reference !== undefined) return reference;
  throw new AsrproError('usage', 'Which model? `asrpro models` lists them.');
}

/** Throws `model_not_found`. */
export async function findModel(library: ModelLibrary, reference: string): Promise<Model> {
  const model = await library.find(reference);
  if (model !== undefined) return model;
  throw new AsrproError('model_not_found', `The model '${reference}' does not exist.`, {
    param: 'model',
    hint: '`asrpro models` lists all models.',
  });
}
