import { z } from 'zod';
import { type DeviceKind, deviceKinds } from '../../engine-table.ts';
import type { HttpServerDeps } from '../deps.ts';
import { json, type Operation, operation } from '../operation.ts';

const health = z
  .object({
    status: z
      .enum(['healthy', 'degraded'])
      .describe(
        'degraded: the last worker crashed or cannot be ended, no model can be loaded, or the cluster is unreachable.',
      ),
    current_model: z.string().nullable(),
    device: z
      .enum(deviceKinds)
      .describe('Device of the loaded model; without one, the device of the last load, or the CPU before any load.'),
    version: z.string(),
    uptime_seconds: z.number(),
    worker: z.object({
      state: z.enum(['stopped', 'starting', 'ready', 'stopping', 'crashed', 'failed']),
      pid: z.int().nullable(),
      generation: z
        .int()
        .describe('Number of the worker process, or of the last one if none runs. Each start increases it by one.'),
      restarts: z.int(),
      memory_bytes: z.int().nullable().describe('Memory that its exit would return; null on systems without /proc.'),
      last_error: z.string().nullable(),
    }),
    queue: z.object({ running: z.int(), waiting: z.int(), limit: z.int() }),
    cluster: z
      .object({
        reachable: z.boolean().nullable().describe('null: not known yet.'),
        reason: z.string().nullable().describe('Why it is unreachable.'),
        nodes: z.int().nullable().describe('Running machines; null while no model is loaded.'),
        replicas: z.int().nullable().describe('Running copies of the model; null while no model is loaded.'),
      })
      .nullable()
      .describe('The cluster of `cluster.address`; null: models run on this machine.'),
  })
  .meta({ id: 'Health' });

type Deps = Pick<HttpServerDeps, 'devices' | 'version' | 'startedAt' | 'library' | 'residency' | 'cluster'>;

export function healthRoutes(deps: Deps): Operation[] {
  const anyModelReady = createReadiness(deps);
  // The system's clock may be set while the server runs.
  const started = performance.now() - (Date.now() - deps.startedAt);
  const uptimeSeconds = (): number => (performance.now() - started) / 1000;
  return [
    operation({
      method: 'GET',
      path: '/health',
      summary: 'Show the state of the server, its worker and its queue',
      description: 'Answers in milliseconds, even while the worker is busy.',
      answers: [json(health, 'The state. The status is always 200 while the server runs.')],
      public: true,
      handler: async () => describeHealth(deps, anyModelReady(), uptimeSeconds()),
    }),
  ];
}

function describeHealth(deps: Deps, anyModelReady: boolean, uptimeSeconds: number): z.input<typeof health> {
  const { devices, version, residency } = deps;
  const { worker, queue } = residency.health();
  const { model, status, device } = residency.status();
  const cluster = deps.cluster?.health() ?? null;
  const workerOk = worker.state !== 'failed' && worker.state !== 'crashed';
  const healthy = workerOk && (anyModelReady || status === 'loaded') && cluster?.reachable !== false;
  return {
    status: healthy ? 'healthy' : 'degraded',
    current_model: status === 'loaded' ? model : null,
    device: kindOf(device ?? devices.lastChosen()),
    version,
    uptime_seconds: uptimeSeconds,
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

/** The kind of `cuda:0` is `cuda`. */
function kindOf(device: string): DeviceKind {
  const kind = device.split(':')[0];
  return deviceKinds.find((known) => known === kind) ?? 'cpu';
}

/** Maximum age of the cached answer to whether any model can be loaded. */
const FRESH_MS = 5_000;

/**
 * Whether any model can be loaded, from a cache. A request with an outdated cache starts the renewal in a timer and answers
 * with the cached value, because reading the model folders must not delay /health. Without requests nothing is read.
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
