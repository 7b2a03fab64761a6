import path from 'node:path';
import type { Config } from '../config/schema.ts';
import type { Engines, EnvironmentId } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ModelEngine } from '../models/model.ts';
import { type Detected, detectCpu, detectCuda, detectMps, mayHaveCuda } from './detect.ts';
import type { Device, DeviceReport, Devices } from './types.ts';

/** Runs a real inference of an engine on devices. */
export type Probe = (
  engine: ModelEngine,
  devices: string[],
) => Promise<{ id: string; usable: boolean; compute_types: string[]; reason: string | null }[]>;

type Outcome = Device['engines'][string];

export interface DevicesOptions {
  config: Config;
  log: Log;
  engines: Engines;
  probe: Probe;
  /** Folder that holds `src/asrpro_worker`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
}

/** Which kinds of device an engine has code for, best first. CTranslate2 and onnxruntime have none for Apple's GPU here. */
const KINDS: Record<string, { environment: EnvironmentId; kinds: readonly Device['kind'][] }> = {
  'faster-whisper': { environment: 'core', kinds: ['cuda', 'cpu'] },
  'onnx-asr': { environment: 'core', kinds: ['cuda', 'cpu'] },
  nemo: { environment: 'nemo', kinds: ['cuda', 'mps', 'cpu'] },
};

/**
 * Devices by detection and by a real inference for each engine. The report is made once and kept; without a GPU,
 * choosing a device starts no process at all.
 */
export function createDevices({ config, log, engines, probe, runtimeRoot, environment }: DevicesOptions): Devices {
  let cached: Promise<DeviceReport> | null = null;

  async function detect(): Promise<Detected[]> {
    const script = path.join(runtimeRoot, 'src', 'asrpro_worker', 'probe_cuda.py');
    const python = async () => {
      if ((await engines.status('core')).installed) return await engines.interpreter('core');
      return { ...(await engines.pip()), env: {} };
    };
    return [detectCpu(), ...(await detectCuda(python, script, environment)), detectMps()];
  }

  async function tryEngine(engine: string, detected: Detected[]): Promise<Map<string, Outcome>> {
    const { environment: id, kinds } = KINDS[engine]!;
    const no = (reason: string): Outcome => ({ usable: false, computeTypes: [], reason });
    const results = new Map(
      detected.map((device): [string, Outcome] => {
        if (!device.present) return [device.id, no(device.reason ?? 'It is not there.')];
        return [
          device.id,
          no(kinds.includes(device.kind) ? 'It was not tried.' : `${engine} has no support for ${device.kind}.`),
        ];
      }),
    );
    const tried = detected.filter(({ present, kind }) => present && kinds.includes(kind)).map((device) => device.id);
    const status = await engines.status(id);
    if (!status.installed) {
      for (const device of tried) results.set(device, no(status.reason ?? `The engine '${id}' is not installed.`));
      return results;
    }
    const answers = await probe(engine as ModelEngine, tried).catch((error: Error) =>
      tried.map((device) => ({ id: device, usable: false, compute_types: [], reason: error.message })),
    );
    for (const { id: device, usable, compute_types, reason } of answers) {
      results.set(device, { usable, computeTypes: compute_types, reason });
    }
    return results;
  }

  async function makeReport(): Promise<DeviceReport> {
    const detected = await detect();
    const names = Object.keys(KINDS);
    const byEngine = new Map<string, Map<string, Outcome>>();
    // One after the other: each takes all cores.
    for (const engine of names) byEngine.set(engine, await tryEngine(engine, detected));
    const devices = detected.map(({ present, ...device }): Device => {
      const outcomes = Object.fromEntries(names.map((engine) => [engine, byEngine.get(engine)!.get(device.id)!]));
      const usable = present && (device.kind === 'cpu' || Object.values(outcomes).some((outcome) => outcome.usable));
      const reason = device.reason ?? (usable ? null : 'No engine can use it; each says why.');
      return { ...device, usable, reason, engines: outcomes };
    });
    return { devices, selected: Object.fromEntries(names.map((engine) => [engine, choose(engine, devices)])) };
  }

  /** The best usable device of the preferred kind, else the CPU. */
  function choose(engine: string, devices: readonly Device[]): string {
    const { prefer } = config.device;
    const kinds = KINDS[engine]!.kinds;
    for (const kind of kinds) {
      const wanted = prefer === 'auto' || prefer === kind || prefer.startsWith(`${kind}:`);
      const usable = devices.find(
        (device) =>
          wanted &&
          device.kind === kind &&
          device.engines[engine]?.usable &&
          (!prefer.includes(':') || device.id === prefer),
      );
      if (usable) return usable.id;
    }
    return 'cpu';
  }

  const report: Devices['report'] = ({ refresh = false } = {}) => {
    if (refresh || cached === null) {
      cached = makeReport();
      cached.catch(() => {
        cached = null;
      });
    }
    return cached;
  };

  return {
    report,
    async select(engine) {
      const { prefer, computeType } = config.device;
      const known = KINDS[engine];
      if (known === undefined)
        throw new AsrproError('device_unavailable', `No device is known for the engine '${engine}'.`);
      const gpu = mayHaveCuda(environment) || (known.kinds.includes('mps') && detectMps().present);
      if (prefer === 'cpu' || !gpu) {
        if (prefer !== 'cpu' && prefer !== 'auto')
          log.warn({ prefer }, 'the preferred device is not there; using the CPU');
        return { device: 'cpu', computeType };
      }
      const { selected } = await report();
      const device = selected[engine] ?? 'cpu';
      if (device === 'cpu') log.warn({ engine }, 'no GPU can be used; GET /v1/devices says why');
      return { device, computeType };
    },
  };
}
