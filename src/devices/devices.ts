import path from 'node:path';
import type { Config } from '../config/schema.ts';
import {
  defaultEnvironment,
  type EngineId,
  engineIds,
  engineRow,
  engineUnsupported,
  isEngineId,
} from '../engine-table.ts';
import type { Engines } from '../engines/types.ts';
import type { Log } from '../log.ts';
import type { ProbedDevice } from '../wire/messages.ts';
import { type Detected, detectCpu, detectCuda, detectMps, mayHaveCuda } from './detect.ts';
import type { OutcomeCache } from './outcome-cache.ts';
import type { Device, Devices } from './types.ts';

/** Runs a real inference of an engine on each device. */
export type Probe = (engine: EngineId, devices: string[]) => Promise<ProbedDevice[]>;

type Outcome = Device['engines'][string];

export interface DevicesOptions {
  config: Config;
  log: Log;
  engines: Engines;
  probe: Probe;
  cache: OutcomeCache;
  /** Folder that contains `src/asrpro_worker`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
}

/** The test of an engine on a device. */
interface Attempt {
  /** The state of the engine's installation at that time. */
  installed: string;
  outcome: Promise<Outcome>;
}

/**
 * Devices from detection and from a test inference for each engine. Outcomes are cached until a refresh or a change of
 * the engine's installation. On a machine without a GPU, choosing a device starts no process.
 */
export function createDevices({
  config,
  log,
  engines,
  probe,
  cache,
  runtimeRoot,
  environment,
}: DevicesOptions): Devices {
  let detected: Promise<Detected[]> | null = null;
  let lastChosen = 'cpu';
  const attempts = new Map<string, Attempt>();
  /** Tests run one at a time, because each inference uses all cores. */
  let lastTest: Promise<unknown> = Promise.resolve();

  function detect(): Promise<Detected[]> {
    const script = path.join(runtimeRoot, 'src', 'asrpro_worker', 'probe_cuda.py');
    const python = async () => {
      if ((await engines.status(defaultEnvironment)).installed) return await engines.interpreter(defaultEnvironment);
      return { ...(await engines.pip()), env: {} };
    };
    detected ??= detectCuda(python, script, environment).then((cuda) => [detectCpu(), ...cuda, detectMps(environment)]);
    return detected;
  }

  /** Tests once for each state of the engine's installation. */
  async function outcomeOf(engine: EngineId, device: Detected): Promise<Outcome> {
    const status = await engines.status(engineRow(engine).environment);
    const installed = JSON.stringify([status.packages, status.incomplete]);
    const name = `${engine} ${device.id}`;
    const known = attempts.get(name);
    if (known?.installed === installed) return known.outcome;
    const missing = status.installed ? null : status.reason;
    const outcome = lastTest.then(() => attempt(engine, device, missing, installed));
    lastTest = outcome.catch(() => undefined);
    attempts.set(name, { installed, outcome });
    return outcome;
  }

  /** @param missing why the engine cannot be tested; null: it can. */
  async function attempt(
    engine: EngineId,
    device: Detected,
    missing: string | null,
    installed: string,
  ): Promise<Outcome> {
    const no = (reason: string): Outcome => ({ usable: false, computeTypes: [], reason });
    if (!device.present) return no(device.reason ?? 'The device is missing.');
    if (!engineRow(engine).devices.includes(device.kind)) return no(`${engine} does not support ${device.kind}.`);
    const unsupported = engineUnsupported(engine, environment);
    if (unsupported !== null) return no(unsupported);
    if (missing !== null) return no(missing);
    const { id, name, memoryBytes, driver } = device;
    const key = JSON.stringify([engine, installed, id, name, memoryBytes, driver]);
    const cached = driver === null ? undefined : cache.get(key);
    if (cached !== undefined) return cached;
    try {
      // One worker per device, so that a crashing driver does not affect the outcome of the others.
      const [answer] = await probe(engine, [device.id]);
      const { usable, compute_types: computeTypes, reason } = answer!;
      if (usable && driver !== null) cache.set(key, { usable, computeTypes, reason: null });
      return { usable, computeTypes, reason };
    } catch (error) {
      return no((error as Error).message);
    }
  }

  /** The best usable device of the preferred kind, else the CPU, which needs no test. */
  async function choose(engine: EngineId, present: readonly Detected[]): Promise<string> {
    const { prefer } = config.device;
    const wanted = ({ id, kind }: Detected): boolean => prefer === 'auto' || prefer === kind || prefer === id;
    for (const kind of engineRow(engine).devices.filter((one) => one !== 'cpu')) {
      for (const device of present.filter((one) => one.kind === kind && wanted(one)))
        if ((await outcomeOf(engine, device)).usable) return device.id;
    }
    return 'cpu';
  }

  return {
    async report({ refresh = false } = {}) {
      if (refresh) {
        detected = null;
        attempts.clear();
        cache.forget();
      }
      const present = await detect();
      const devices: Device[] = [];
      for (const detected of present) {
        const { present: isThere, driver: _driver, ...device } = detected;
        const outcomes: Device['engines'] = {};
        for (const engine of engineIds) outcomes[engine] = await outcomeOf(engine, detected);
        const usable = isThere && (device.kind === 'cpu' || Object.values(outcomes).some((outcome) => outcome.usable));
        const reason = usable ? null : (device.reason ?? noEngineReason(outcomes));
        devices.push({ ...device, usable, reason, engines: outcomes });
      }
      const selected: Record<string, string> = {};
      for (const engine of engineIds.filter((id) => engineUnsupported(id, environment) === null))
        selected[engine] = await choose(engine, present);
      return { devices, selected };
    },
    async select(engine) {
      const { prefer, computeType } = config.device;
      if (!isEngineId(engine)) throw new Error(`no device is known for the engine '${engine}'`);
      const gpu =
        mayHaveCuda(environment) || (engineRow(engine).devices.includes('mps') && detectMps(environment).present);
      if (prefer === 'cpu' || !gpu) {
        lastChosen = 'cpu';
        if (prefer !== 'cpu' && prefer !== 'auto')
          log.warn({ prefer }, 'the preferred device is missing; using the CPU');
        return { device: 'cpu', computeType };
      }
      const present = await detect();
      const device = await choose(engine, present);
      lastChosen = device;
      if (device === 'cpu') {
        const gpus = present.filter(({ kind }) => kind !== 'cpu');
        const reasons = await Promise.all(
          gpus.map(async (one) => `${one.id}: ${(await outcomeOf(engine, one)).reason}`),
        );
        log.warn({ engine, reasons }, 'no GPU can be used; using the CPU');
      }
      return { device, computeType };
    },
    lastChosen: () => lastChosen,
  };
}

/** Why no engine can use a device that is present. */
function noEngineReason(outcomes: Record<string, Outcome>): string {
  const reasons = Object.entries(outcomes).map(([engine, { reason }]) => `${engine}: ${reason}`);
  return `No engine can use it. ${reasons.join(' ')}`;
}
