import { z } from 'zod';
import type { LoadReport, ResidentStatus, UnloadReport } from '../../residency/types.ts';
import type { HttpServerDeps } from '../deps.ts';
import { allowBody } from '../disconnect.ts';
import { readJson } from '../json-body.ts';
import { json, type Operation, operation } from '../operation.ts';
import { requireModel } from './models.ts';

const facts = {
  device: z.string().nullable().describe('Device that the model runs on.'),
  compute_type: z.string().nullable(),
  memory_bytes: z.int().nullable(),
  load_seconds: z.number().nullable(),
};
const current = z
  .object({
    model: z.string().nullable(),
    status: z.enum(['loaded', 'loading', 'unloading', 'none']),
    ...facts,
  })
  .meta({ id: 'LoadedModel' });
const choice = z.object({ model_id: z.string({ error: 'a model id is expected' }).min(1, 'a model id is expected') });
const loaded = z
  .object({ status: z.literal('success'), model: z.string(), ...facts, previous: z.string().nullable() })
  .meta({ id: 'LoadReport' });
const bytesOrNull = z.int().nullable();
const unloaded = z
  .object({
    status: z.literal('success'),
    model: z.null(),
    unloaded: z.string().nullable(),
    memory: z.object({
      before_bytes: z
        .int()
        .describe(
          'Memory that the worker and its child processes held before the unload: pages that they have written, without ' +
            'pages of files. Without /proc: the resident size of the worker after the load.',
        ),
      returned_bytes: z.int().describe('The part of it that none of these processes holds any more.'),
      worker_exited: z.literal(true),
      exit_seconds: z.number(),
      system_available_before_bytes: bytesOrNull.describe('Memory that the machine has available; Linux only.'),
      system_available_after_bytes: bytesOrNull,
      gpu_free_before_bytes: bytesOrNull,
      gpu_free_after_bytes: bytesOrNull,
    }),
  })
  .meta({ id: 'UnloadReport' });

/** The loaded model: show it, load another, unload it. */
export function settingsRoutes({ library, residency }: Pick<HttpServerDeps, 'library' | 'residency'>): Operation[] {
  const path = '/v1/settings/model';
  return [
    operation({
      method: 'GET',
      path,
      summary: 'Show which model is loaded',
      answers: [json(current, 'The model and its state.')],
      handler: async () => currentJson(residency.status()),
    }),
    operation({
      method: 'POST',
      path,
      summary: 'Load a model',
      description:
        'Answers when the model is loaded and warmed up. If the load fails, the previous model is loaded again.',
      body: { contentType: 'application/json', schema: choice },
      answers: [json(loaded, 'The model is loaded.')],
      errors: [400, 404, 503],
      handler: async (request, reply) => {
        allowBody(reply.raw);
        const { model_id: id } = await readJson(request.raw, choice);
        return loadedJson(await residency.load(await requireModel(library, id, 'model_id')));
      },
    }),
    operation({
      method: 'DELETE',
      path,
      summary: 'Unload the model',
      description: 'Answers when every worker process has ended. Also forgets which model was selected.',
      answers: [json(unloaded, 'No model is loaded.')],
      errors: [503],
      handler: async () => unloadedJson(await residency.unload()),
    }),
  ];
}

function currentJson({ model, status, ...rest }: ResidentStatus): z.input<typeof current> {
  return { model, status, ...factsJson(rest) };
}

function loadedJson({ model, previous, ...rest }: LoadReport): z.input<typeof loaded> {
  return { status: 'success', model: model ?? '', ...factsJson(rest), previous };
}

function factsJson(from: Pick<ResidentStatus, 'device' | 'computeType' | 'memoryBytes' | 'loadSeconds'>) {
  return {
    device: from.device,
    compute_type: from.computeType,
    memory_bytes: from.memoryBytes,
    load_seconds: from.loadSeconds,
  };
}

function unloadedJson({ unloaded: id, memory }: UnloadReport): z.input<typeof unloaded> {
  return {
    status: 'success',
    model: null,
    unloaded: id,
    memory: {
      before_bytes: memory.beforeBytes,
      returned_bytes: memory.returnedBytes,
      worker_exited: memory.workerExited,
      exit_seconds: memory.exitSeconds,
      system_available_before_bytes: memory.systemAvailableBeforeBytes,
      system_available_after_bytes: memory.systemAvailableAfterBytes,
      gpu_free_before_bytes: memory.gpuFreeBeforeBytes,
      gpu_free_after_bytes: memory.gpuFreeAfterBytes,
    },
  };
}
