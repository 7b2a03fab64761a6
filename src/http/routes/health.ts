import { z } from 'zod';
import { type DeviceKind, deviceKinds } from '../../engine-table.ts';
import type { HttpServerDeps } from '../deps.ts';
import { json, type Operation, operation } from '../operation.ts';

const health = z
  .object({
    status: z
      .enum(['healthy', 'degraded'])
      .describe(
        'degraded: the last worker crashed or does not end, no model can be loaded, or the cluster is out of reach.',
      ),
    current_model: z.string().nullable(),
    device: z.enum(deviceKinds).describe('In force; without a loaded model the one chosen last, at first the CPU.'),
    version: z.string(),
    uptime_seconds: z.number(),
    worker: z.object({
      state: z.enum(['stopped', 'starting', 'ready', 'stopping', 'crashed', 'failed']),
      pid: z.int().nullable(),
      generation: z
        .int()
        .describe('Number of this worker, of the last one where none lives; each start counts one up.'),
      restarts: z.int(),
      memory_bytes: z.int().nullable().describe('What its end would give back; resident size where there is no /proc.'),
      last_error: z.string().nullable(),
    }),
    queue: z.object({ running: z.int(), waiting: z.int(), limit: z.int() }),
    cluster: z
      .object({
        reachable: z.boolean().nullable().describe('null: not known yet.'),
        reason: z.string().nullable().describe('Why it is out of reach.'),
        nodes: z.int().nullable().describe('Machines that live; null while nothing is loaded.'),
        replicas: z.int().nullable().describe('Copies of models that run on them; null while nothing is loaded.'),
      })
      .nullable()
      .describe('The cluster of `cluster.address`; null: models run on this machine.'),
  })
  .meta({ id: 'Health' });

type Deps = Pick<HttpServerDeps, 'devices' | 'version' | 'startedAt' | 'library' | 'residency' | 'cluster'>;

export function healthRoutes(deps: Deps): Operation[] {
  const anyModelReady = createReadiness(deps);
  return [
    operation({
      method: 'GET',
      path: '/health',
      summary: 'Whether the server lives, and what it does',
      description: 'Answered at once, whatever the worker does.',
      answers: [json(health, 'Always, while the server lives.')],
      public: true,
      handler: async () => describeHealth(deps, anyModelReady()),
    }),
  ];
}

function describeHealth(deps: Deps, anyModelReady: boolean): z.input<typeof health> {
  const { devices, version, startedAt, residency } = deps;
  const { worker, queue } = residency.health();
  const { model, status, device } = residency.status();
  const cluster = deps.cluster?.health() ?? null;
  const workerWell = worker.state !== 'failed' && worker.state !== 'crashed';
  const canWork = workerWell && (anyModelReady || status === 'loaded') && cluster?.reachable !== false;
  return {
    status: canWork ? 'healthy' : 'degraded',
    current_model: status === 'loaded' ? model : null,
    device: kindOf(device ?? devices.lastChosen()),
    version,
    uptime_seconds: (Date.now() - startedAt) / 1000,
    worker: {
      state: worker.state,
      pid: worker.pid,
      generation: worker.generation,
      restarts: worker.restarts,
      memory_bytes: worker.memoryBytes,
      last_error: worker.lastError,
    },
    queue,
    cluster,
  };
}

/** `cuda:0` is `cuda`. */
function kindOf(device: string): DeviceKind {
  const kind = device.split(':')[0];
  return deviceKinds.find((known) => known === kind) ?? 'cpu';
}

/** How old the knowledge of the model list may be. */
const FRESH_MS = 5_000;

/**
 * Whether some model can be loaded, as of a moment ago. A timer that a request starts looks at the disk, never the request
 * itself, and while nobody asks nobody looks.
 */
function createReadiness({ library }: Deps): () => boolean {
  let ready = true;
  let renewing = false;
  let renewedAt = Number.NEGATIVE_INFINITY;
  const renew = async (): Promise<void> => {
    ready = await library.anyReady().catch(() => false);
    renewedAt = performance.now();
    renewing = false;
  };
  return () => {
    if (!renewing && performance.now() - renewedAt > FRESH_MS) {
      renewing = true;
      setTimeout(renew, 0).unref();
    }
    return ready;
  };
}
