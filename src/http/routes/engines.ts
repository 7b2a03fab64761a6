import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type EnvironmentId, environmentIds } from '../../engine-table.ts';
import type { EngineStatus, InstallStatus } from '../../engines/types.ts';
import { AsrproError } from '../../errors.ts';
import type { HttpServerDeps } from '../deps.ts';
import { json, type Operation, operation, parameter } from '../operation.ts';
import { jobFailure } from './downloads.ts';

const environmentId = z.enum(environmentIds);
const engineList = z
  .object({
    engines: z.array(
      z.object({
        id: environmentId,
        installed: z.boolean(),
        python: z.string().nullable(),
        packages: z.record(z.string(), z.string()).describe('Versions by package name.'),
        size_bytes: z.int(),
        reason: z.string().nullable().describe('Why it cannot be used, and what to do.'),
      }),
    ),
  })
  .meta({ id: 'EngineList' });
const job = z
  .object({
    engine: environmentId,
    status: z.enum(['queued', 'installing', 'verifying', 'installed', 'failed', 'cancelled']),
    step: z.string().nullable(),
    packages_done: z.int(),
    packages_total: z.int().nullable(),
    error: jobFailure.nullable(),
  })
  .meta({ id: 'Installation' });

/** The Python environments of the engines, and their installation. */
export function engineRoutes({ engines }: Pick<HttpServerDeps, 'engines'>): Operation[] {
  const path = '/v1/engines/{engine}/install';
  const parameters = { engine: environmentId.describe('The engine environment.') };
  return [
    operation({
      method: 'GET',
      path: '/v1/engines',
      summary: 'List the engine environments',
      answers: [json(engineList, 'The engine environments.')],
      handler: async () => ({ engines: (await engines.list()).map(engineJson) }),
    }),
    operation({
      method: 'POST',
      path,
      summary: 'Install an engine environment',
      description: 'Starts the installation, or joins a running one.',
      parameters,
      answers: [json(job, 'The job.', 202)],
      errors: [404],
      handler: async (request) => jobJson(await engines.install(engineOf(request))),
    }),
    operation({
      method: 'GET',
      path,
      summary: 'Show the progress of an installation',
      parameters,
      answers: [json(job, 'The job; its status is `installed` for an installed environment.')],
      errors: [404],
      handler: async (request) => {
        const id = engineOf(request);
        const found = await engines.installation(id);
        if (found !== undefined) return jobJson(found);
        throw new AsrproError('install_not_found', `The engine environment '${id}' is not being installed.`, {
          param: 'engine',
          hint: `Start it with POST /v1/engines/${id}/install.`,
        });
      },
    }),
    operation({
      method: 'DELETE',
      path,
      summary: 'Cancel an installation',
      parameters,
      answers: [json(job, 'The cancelled job.')],
      errors: [404],
      handler: async (request) => jobJson(await engines.cancel(engineOf(request))),
    }),
  ];
}

function engineOf(request: FastifyRequest): EnvironmentId {
  const id = environmentId.safeParse(parameter(request, 'engine'));
  if (id.success) return id.data;
  throw new AsrproError(
    'engine_not_found',
    `The engine environments are ${environmentIds.map((id) => `'${id}'`).join(' and ')}.`,
    {
      param: 'engine',
    },
  );
}

function engineJson(status: EngineStatus): z.input<typeof engineList>['engines'][number] {
  const { id, installed, python, packages, sizeBytes, reason, incomplete } = status;
  return { id, installed, python, packages, size_bytes: sizeBytes, reason: reason ?? incomplete };
}

function jobJson({ engine, status, step, packagesDone, packagesTotal, error }: InstallStatus): z.input<typeof job> {
  return { engine, status, step, packages_done: packagesDone, packages_total: packagesTotal, error };
}
