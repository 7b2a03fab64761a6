import type { Loaded } from '../wire/messages.ts';
import { availableBytes, gpuFreeBytes } from '../worker/memory.ts';
import type { Worker } from '../worker/worker.ts';
import type { UnloadReport } from './types.ts';

/** What was measured before a worker ends, from which the report is made after it has ended. */
export interface MemoryBefore {
  /** Resolves when all of it is known; asking a GPU takes time. */
  readonly measured: Promise<unknown>;
  /** Measures again. @param exitSeconds that the end took. */
  report(exitSeconds: number): Promise<UnloadReport['memory']>;
}

/** @param loaded what the worker says of itself, for systems that do not say it of a process. */
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
      // What a process that it started still holds has not come back.
      const remaining = await footprint.remaining();
      // On a cluster: what its replicas held on other machines, and hold still. The worker's own is in both numbers.
      const { before: all, after: left } = worker.unloaded ?? { before: 0, after: 0 };
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

/** Of an unload with nothing to unload. */
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
