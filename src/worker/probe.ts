import type { Log } from '../log.ts';
import type { ModelEngine } from '../models/model.ts';
import type { StartWorker } from './handle.ts';
import { shortLadder } from './kill-ladder.ts';
import { Supervisor } from './supervisor.ts';
import type { Patience } from './worker.ts';

export interface ProbedDevice {
  id: string;
  usable: boolean;
  compute_types: string[];
  reason: string | null;
}

/**
 * Tests devices with a real inference, in a worker of its own: a driver that crashes takes nobody else with it. Throws
 * `engine_not_installed`; a worker that dies makes every device unusable, with the reason.
 */
export function createProbe(start: StartWorker, patience: Patience, log: Log) {
  return async (engine: ModelEngine, devices: string[]): Promise<ProbedDevice[]> => {
    const supervisor = new Supervisor(start, patience, log);
    const worker = await supervisor.start(engine);
    try {
      return await worker.probe(devices);
    } catch (error) {
      const { message } = error as Error;
      return devices.map((id) => ({ id, usable: false, compute_types: [], reason: message }));
    } finally {
      await worker.stop(shortLadder);
    }
  };
}
