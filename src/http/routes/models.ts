import { z } from 'zod';
import type { Model, ModelLibrary } from '../../models/model.ts';
import { modelJson, modelSchema } from '../../models/model-json.ts';
import { modelNotFound } from '../../models/not-found.ts';
import type { HttpServerDeps } from '../deps.ts';
import { json, type Operation, operation, parameter } from '../operation.ts';

const modelList = z.object({ object: z.literal('list'), data: z.array(modelSchema) }).meta({ id: 'ModelList' });
const deleted = z.object({ id: z.string(), object: z.literal('model'), deleted: z.literal(true) });

export const modelParameter = z
  .string()
  .describe('Id, alias or hub name. A slash in it may be sent as `/` or as `%2F`.');

type Deps = Pick<HttpServerDeps, 'library' | 'residency'>;

export function modelRoutes({ library, residency }: Deps): Operation[] {
  const row = (model: Model) => {
    const { model: resident, status } = residency.status();
    return modelJson(residency.inForce(model), status === 'loaded' ? resident : null);
  };
  const parameters = { model: modelParameter };
  return [
    operation({
      method: 'GET',
      path: '/v1/models',
      summary: 'List the models',
      description: 'All models that are downloaded, were found on this machine or can be downloaded.',
      answers: [json(modelList, 'The models.')],
      handler: async () => ({ object: 'list' as const, data: (await library.list()).map(row) }),
    }),
    operation({
      method: 'GET',
      path: '/v1/models/{model}',
      summary: 'Describe a model',
      parameters,
      answers: [json(modelSchema, 'The model. Its `id` is the requested name.')],
      errors: [404],
      handler: async (request) => {
        const name = parameter(request, 'model');
        return { ...row(await requireModel(library, name)), id: name };
      },
    }),
    operation({
      method: 'DELETE',
      path: '/v1/models/{model}',
      summary: "Delete a model's files",
      description: 'Unloads the model first. Never deletes files of other programs or of the user.',
      parameters,
      answers: [json(deleted, 'The files are deleted.')],
      errors: [400, 404, 503],
      handler: async (request) => {
        const name = parameter(request, 'model');
        const model = await requireModel(library, name);
        // OpenAI's names stand for the default model, but `DELETE /v1/models/whisper-1` must not delete its files.
        const isOwnName = model.id === name || model.aliases.includes(name);
        if (!isOwnName || !model.downloaded) throw modelNotFound(name, { problem: 'is not downloaded' });
        await residency.whileUnloaded(model.id, () => library.remove(model.id));
        return { id: name, object: 'model' as const, deleted: true as const };
      },
    }),
  ];
}

/** Finds a model by id, alias or hub name. Throws `model_not_found`. */
export async function requireModel(library: ModelLibrary, name: string, param = 'model'): Promise<Model> {
  const model = await library.find(name);
  if (model === undefined) throw modelNotFound(name, { param });
  return model;
}
