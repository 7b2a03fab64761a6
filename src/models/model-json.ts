import { z } from 'zod';
import type { Model } from './model.ts';

/** A row of `GET /v1/models`: OpenAI's keys, then ours. */
export const modelSchema = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.int().describe('Unix seconds.'),
    owned_by: z.literal('asrpro'),
    ready: z.boolean().describe('The model can be used now.'),
    name: z.string(),
    description: z.string(),
    engine: z.string(),
    size_bytes: z.int().nullable(),
    languages: z.array(z.string()).describe('ISO-639-1 codes; empty when unknown.'),
    license: z.string().nullable(),
    tasks: z.array(z.string()),
    downloaded: z.boolean(),
    loaded: z.boolean(),
    source: z.string(),
    reason: z.string().nullable().describe('Why the model is not ready, with the remedy.'),
  })
  .meta({ id: 'Model' });

/** @param loaded id of the loaded model, or null. */
export function modelJson(model: Model, loaded: string | null): z.input<typeof modelSchema> {
  return {
    id: model.id,
    object: 'model',
    created: Math.floor(model.created),
    owned_by: 'asrpro',
    ready: model.ready,
    name: model.name,
    description: model.description,
    engine: model.engine,
    size_bytes: model.sizeBytes,
    languages: model.languages ?? [],
    license: model.license,
    tasks: [...model.capabilities.tasks],
    downloaded: model.downloaded,
    loaded: model.id === loaded,
    source: model.source,
    reason: model.reason,
  };
}
