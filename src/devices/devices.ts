import path from 'node:path';
import type { Config } from '../config/schema.ts';
import type { Engines, EnvironmentId } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ModelEngine } from '../models/model.ts';
import { type Detected, detectCpu, detectCuda, detectMps, mayHaveCuda } from './detect.ts';
import type { Device, Devices } from './types.ts';

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

/** What every engine made of every device, and under which circumstances that was found. */
interface Attempt {
  /** Whether and what of the engine was installed. */
  installed: string;
  outcomes: Promise<Map<string, Outcome>>;
}

/**
 * Devices by detection and by a real inference for each engine. Outcomes are kept until they are asked for anew or the
 * engine is installed or removed; without a GPU, choosing a device starts no process at all.
 */
export function createDevices({ config, log, engines, probe, runtimeRoot, environment }: DevicesOptions): Devices {
  let detected: Promise<Detected[]> | null = null;
  const attempts = new Map<string, Attempt>();
  /** Each inference takes all cores: one after the other. */
  let last: Promise<unknown> = Promise.resolve();

  function detect(): Promise<Detected[]> {
    const script = path.join(runtimeRoot, 'src', 'asrpro_worker', 'probe_cuda.py');
    const python = async () => {
      if ((await engines.status('core')).installed) return await engines.interpreter('core');
      return { ...(await engines.pip()), env: {} };
    };
    detected ??= detectCuda(python, script, environment).then((cuda) => [detectCpu(), ...cuda, detectMps()]);
    return detected;
  }

  async function outcomesOf(engine: string): Promise<Map<string, Outcome>> {
    const status = await engines.status(KINDS[engine]!.environment);
    const installed = JSON.stringify(status.packages);
    const known = attempts.get(engine);
    if (known?.installed === installed) return known.outcomes;
    const outcomes = last.then(async () => tryEngine(engine, await detect(), status.installed ? null : status.reason));
    last = outcomes.catch(() => undefined);
    attempts.set(engine, { installed, outcomes });
    return outcomes;
  }

  /** @param missing why the engine cannot be asked, or null. */
  async function tryEngine(
    engine: string,
    present: readonly Detected[],
    missing: string | null,
  ): Promise<Map<string, Outcome>> {
    const outcomes = new Map<string, Outcome>();
    for (const device of present) {
      const supported = KINDS[engine]!.kinds.includes(device.kind);
      const no = (reason: string): Outcome => ({ usable: false, computeTypes: [], reason });
      if (!device.present) outcomes.set(device.id, no(device.reason ?? 'It is not there.'));
      else if (!supported) outcomes.set(device.id, no(`${engine} has no support for ${device.kind}.`));
      else if (missing !== null) outcomes.set(device.id, no(missing));
      // In a process of its own: a driver that crashes says nothing about the other devices.
      else outcomes.set(device.id, await inference(engine, device.id).catch((error: Error) => no(error.message)));
    }
    return outcomes;
  }

  async function inference(engine: string, device: string): Promise<Outcome> {
    const [answer] = await probe(engine as ModelEngine, [device]);
    const { usable, compute_types: computeTypes, reason } = answer!;
    return { usable, computeTypes, reason };
  }

  /** The best usable device of the preferred kind, else the CPU. */
  function choose(engine: string, present: readonly Detected[], outcomes: ReadonlyMap<string, Outcome>): string {
    const { prefer } = config.device;
    const wanted = ({ id, kind }: Detected): boolean => prefer === 'auto' || prefer === kind || prefer === id;
    for (const kind of KINDS[engine]!.kinds) {
      const found = present.find((device) => device.kind === kind && wanted(device) && outcomes.get(device.id)?.usable);
      if (found) return found.id;
    }
    return 'cpu';
  }

  return {
    async report({ refresh = false } = {}) {
      if (refresh) {
        detected = null;
        attempts.clear();
      }
      const present = await detect();
      const names = Object.keys(KINDS);
      const found = await Promise.all(names.map(outcomesOf));
      const devices = present.map(({ present: isThere, ...device }): Device => {
        const outcomes = Object.fromEntries(names.map((engine, index) => [engine, found[index]!.get(device.id)!]));
        const usable = isThere && (device.kind === 'cpu' || Object.values(outcomes).some((outcome) => outcome.usable));
        return { ...device, usable, reason: usable ? null : (device.reason ?? whyNot(outcomes)), engines: outcomes };
      });
      const selected = names.map((engine, index) => [engine, choose(engine, present, found[index]!)]);
      return { devices, selected: Object.fromEntries(selected) };
    },
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
      const [present, outcomes] = [await detect(), await outcomesOf(engine)];
      const device = choose(engine, present, outcomes);
      if (device === 'cpu') {
        const reasons = [...outcomes].filter(([id]) => id !== 'cpu').map(([id, { reason }]) => `${id}: ${reason}`);
        log.warn({ engine, reasons }, 'no GPU can be used; using the CPU');
      }
      return { device, computeType };
    },
  };
}

/** A device that is there, and no engine can use. */
function whyNot(outcomes: Record<string, Outcome>): string {
  const reasons = Object.entries(outcomes).map(([engine, { reason }]) => `${engine}: ${reason}`);
  return `No engine can use it. ${reasons.join(' ')}`;
}
