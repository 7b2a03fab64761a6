import type { Loaded } from '../wire/messages.ts';
import { availableBytes, gpuFreeBytes } from '../worker/memory.ts';
import type { Worker } from '../worker/worker.ts';
import type { UnloadReport } from './types.ts';

/** Memory measured before a worker ends. The report compares it with a second measurement afterwards. */
export interface MemoryBefore {
  /** Resolves when the first measurement is complete; querying a GPU takes time. */
  readonly measured: Promise<unknown>;
  /** Measures again, after the exit. @param exitSeconds how long the exit took. */
  report(exitSeconds: number): Promise<UnloadReport['memory']>;
}

/** @param loaded the worker's own report, used on systems without /proc. */
export function measureMemory(worker: Worker, loaded: Loaded | null): MemoryBefore {
  const footprint = worker.footprint();
  const resident = worker.memoryBytes ?? 0;
  const system = availableBytes();
  const device = loaded?.device ?? null;
  const gpu = gpuFreeBytes(device);
  return {
    measured: gpu,
    async report(exitSeconds) {
      const before = footprint.bytes ?? loaded?.memory_bytes ?? 0;
      const gpuBefore = await gpu;
      // Memory that a child of the worker still holds is not returned.
      const remaining = await footprint.remaining();
      // On a cluster, these include what its replicas hold on other machines; both contain the worker's own memory.
      const { before: all, after: left } = (await worker.unloaded()) ?? { before: 0, after: 0 };
      const elsewhere = Math.max(0, all - resident);
      const heldElsewhere = Math.min(elsewhere, Math.max(0, left - resident));
      return {
        beforeBytes: before + elsewhere,
        returnedBytes: Math.max(0, before - remaining) + elsewhere - heldElsewhere,
        workerExited: true,
        exitSeconds,
        systemAvailableBeforeBytes: system,
        systemAvailableAfterBytes: availableBytes(),
        gpuFreeBeforeBytes: gpuBefore,
        gpuFreeAfterBytes: gpuBefore === null ? null : await gpuFreeBytes(device),
      };
    },
  };
}

/** The report when no model was loaded. */
export const nothingUnloaded: UnloadReport = {
  unloaded: null,
  memory: {
    beforeBytes: 0,
    returnedBytes: 0,
    workerExited: true,
    exitSeconds: 0,
    systemAvailableBeforeBytes: null,
    systemAvailableAfterBytes: null,
    gpuFreeBeforeBytes: null,
    gpuFreeAfterBytes: null,
  },
};
