import { z } from 'zod';
import type { DownloadStatus } from '../../downloads/types.ts';
import { AsrproError } from '../../errors.ts';
import type { HttpServerDeps } from '../deps.ts';
import { invalidInput } from '../invalid-input.ts';
import { json, type Operation, operation, parameter } from '../operation.ts';
import { modelParameter, requireModel } from './models.ts';

export const jobFailure = z
  .object({ code: z.string(), message: z.string(), retryable: z.boolean() })
  .meta({ id: 'JobFailure' });

const job = z
  .object({
    model: z.string(),
    status: z.enum(['queued', 'downloading', 'verifying', 'installed', 'failed', 'cancelled']),
    bytes_done: z.int(),
    bytes_total: z.int().nullable(),
    bytes_per_second: z.number().nullable(),
    seconds_left: z.number().nullable(),
    file: z.string().nullable(),
    source: z.string().nullable(),
    error: jobFailure.nullable(),
  })
  .meta({ id: 'Download' });

const cancelQuery = z.object({
  keep: z
    .enum(['true', 'false'], { error: "choose 'true' or 'false'" })
    .default('true')
    .describe('false: delete the partial files. true: a later download continues from them.'),
});

export function downloadRoutes({ library, downloads }: Pick<HttpServerDeps, 'library' | 'downloads'>): Operation[] {
  const path = '/v1/models/{model}/download';
  const parameters = { model: modelParameter };
  return [
    operation({
      method: 'POST',
      path,
      summary: 'Download a model',
      description: 'Starts the download, or joins a running one.',
      parameters,
      answers: [json(job, 'The job.', 202)],
      errors: [404],
      handler: async (request) => {
        const { id } = await requireModel(library, parameter(request, 'model'));
        return downloadJson(await downloads.start(id));
      },
    }),
    operation({
      method: 'GET',
      path,
      summary: 'Show the progress of a download',
      parameters,
      answers: [json(job, 'The job; its status is `installed` for a downloaded model.')],
      errors: [404],
      handler: async (request) => {
        const { id } = await requireModel(library, parameter(request, 'model'));
        const found = await downloads.get(id);
        if (found !== undefined) return downloadJson(found);
        throw new AsrproError('download_not_found', `There is no download of '${id}'.`, {
          param: 'model',
          hint: `Start one with POST /v1/models/${id}/download.`,
        });
      },
    }),
    operation({
      method: 'DELETE',
      path,
      summary: 'Cancel a download',
      parameters,
      query: cancelQuery,
      answers: [json(job, 'The cancelled job.')],
      errors: [400, 404, 503],
      handler: async (request) => {
        const query = cancelQuery.safeParse(request.query, { reportInput: true });
        if (!query.success) throw invalidInput(query.error);
        const { id } = await requireModel(library, parameter(request, 'model'));
        return downloadJson(await downloads.cancel(id, { keep: query.data.keep === 'true' }));
      },
    }),
  ];
}

function downloadJson(status: DownloadStatus): z.input<typeof job> {
  return {
    model: status.model,
    status: status.status,
    bytes_done: status.bytesDone,
    bytes_total: status.bytesTotal,
    bytes_per_second: status.bytesPerSecond,
    seconds_left: status.secondsLeft,
    file: status.file,
    source: status.source,
    error: status.error,
  };
}
