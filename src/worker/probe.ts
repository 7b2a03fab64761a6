import type { ModelEngine } from '../engine-table.ts';
import type { Log } from '../log.ts';
import type { ProbedDevice } from '../wire/messages.ts';
import type { StartWorker } from './handle.ts';
import { type Patience, Worker } from './worker.ts';

/**
 * Tests devices with a real inference, in a worker of its own: a driver that crashes takes nobody else with it. Throws
 * `engine_not_installed`; a worker that dies makes every device unusable, with the reason.
 */
export function createProbe(start: StartWorker, patience: Patience, log: Log) {
  return async (engine: ModelEngine, devices: string[]): Promise<ProbedDevice[]> => {
    const worker = new Worker(await start(engine, 0), engine, 0, patience, log);
    try {
      await worker.hello();
      return await worker.probe(devices);
    } catch (error) {
      const { message } = error as Error;
      return devices.map((id) => ({ id, usable: false, compute_types: [], reason: message }));
    } finally {
      await worker.stop('kill');
    }
  };
}
