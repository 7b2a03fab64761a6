import type { ModelEngine } from '../engine-table.ts';
import type { Log } from '../log.ts';
import type { ProbedDevice } from '../wire/messages.ts';
import type { StartWorker } from './handle.ts';
import { type Timeouts, Worker } from './worker.ts';

/**
 * Tests devices with a real inference in a separate worker, so that a crashing driver harms nothing else. When the
 * worker dies, every device is unusable, with the reason. Throws `engine_not_installed`.
 */
export function createProbe(start: StartWorker, timeouts: Timeouts, log: Log) {
  return async (engine: ModelEngine, devices: string[]): Promise<ProbedDevice[]> => {
    const worker = new Worker(await start(engine, 0), engine, 0, timeouts, log);
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
