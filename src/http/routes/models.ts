import { z } from 'zod';
import { AsrproError } from '../../errors.ts';
import type { Model, ModelLibrary } from '../../models/model.ts';
import { modelJson, modelSchema } from '../../models/model-json.ts';
import type { HttpServerDeps } from '../deps.ts';
import { json, type Operation, operation, parameter } from '../operation.ts';

const modelList = z.object({ object: z.literal('list'), data: z.array(modelSchema) }).meta({ id: 'ModelList' });
const deleted = z.object({ id: z.string(), object: z.literal('model'), deleted: z.literal(true) });

export const modelParameter = z
  .string()
  .describe('Id, alias or hub name; a slash in it may be sent as it is or as %2F.');

type Deps = Pick<HttpServerDeps, 'library' | 'residency'>;

export function modelRoutes({ library, residency }: Deps): Operation[] {
  const row = (one: Model) => {
    const { model: resident, status } = residency.status();
    return modelJson(residency.inForce(one), status === 'loaded' ? resident : null);
  };
  const parameters = { model: modelParameter };
  return [
    operation({
      method: 'GET',
      path: '/v1/models',
      summary: 'List the models',
      description: 'All that are known: downloaded, found on this machine, or there to be downloaded.',
      answers: [json(modelList, 'The models.')],
      handler: async () => ({ object: 'list' as const, data: (await library.list()).map(row) }),
    }),
    operation({
      method: 'GET',
      path: '/v1/models/{model}',
      summary: 'Describe a model',
      parameters,
      answers: [json(modelSchema, 'The model, under the id that was asked for.')],
      errors: [404],
      handler: async (request) => {
        const asked = parameter(request, 'model');
        return { ...row(await requireModel(library, asked)), id: asked };
      },
    }),
    operation({
      method: 'DELETE',
      path: '/v1/models/{model}',
      summary: "Delete a model's files",
      description: 'Unloads it first. Files of other programs and of the user are never deleted.',
      parameters,
      answers: [json(deleted, 'The files are gone.')],
      errors: [400, 404, 503],
      handler: async (request) => {
        const asked = parameter(request, 'model');
        const found = await requireModel(library, asked);
        // OpenAI's names stand for the default model; nobody means to delete that by them.
        const named = found.id === asked || found.aliases.includes(asked);
        if (!named || !found.downloaded) throw notFound(asked, 'is not downloaded');
        await residency.whileUnloaded(found.id, () => library.remove(found.id));
        return { id: asked, object: 'model' as const, deleted: true as const };
      },
    }),
  ];
}

/** Throws `model_not_found`, whatever strange thing the id is. */
export async function requireModel(library: ModelLibrary, id: string, param = 'model'): Promise<Model> {
  const found = await library.find(id);
  if (found === undefined) throw notFound(id, 'does not exist', param);
  return found;
}

function notFound(id: string, what: string, param = 'model'): AsrproError {
  return new AsrproError('model_not_found', `The model '${id.slice(0, 100)}' ${what}.`, {
    param,
    hint: 'GET /v1/models lists all models.',
  });
}
