import path from 'node:path';
import type { Config } from '../config/schema.ts';
import { type EngineId, engineIds, engineRow, firstEnvironment, isEngineId, neverHere } from '../engine-table.ts';
import type { Engines } from '../engines/types.ts';
import type { Log } from '../log.ts';
import type { ProbedDevice } from '../wire/messages.ts';
import { type Detected, detectCpu, detectCuda, detectMps, mayHaveCuda } from './detect.ts';
import type { KeptOutcomes } from './kept-outcomes.ts';
import type { Device, Devices } from './types.ts';

/** Runs a real inference of an engine on devices. */
export type Probe = (engine: EngineId, devices: string[]) => Promise<ProbedDevice[]>;

type Outcome = Device['engines'][string];

export interface DevicesOptions {
  config: Config;
  log: Log;
  engines: Engines;
  probe: Probe;
  kept: KeptOutcomes;
  /** Folder that holds `src/asrpro_worker`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
}

/** What an engine made of a device, and under which circumstances that was found. */
interface Attempt {
  /** Whether and what of the engine was installed. */
  installed: string;
  outcome: Promise<Outcome>;
}

/**
 * Devices by detection and by a real inference for each engine. Outcomes are kept until they are asked for anew or the
 * engine is installed or removed; without a GPU, choosing a device starts no process at all.
 */
export function createDevices({
  config,
  log,
  engines,
  probe,
  kept,
  runtimeRoot,
  environment,
}: DevicesOptions): Devices {
  let detected: Promise<Detected[]> | null = null;
  let lastChosen = 'cpu';
  const attempts = new Map<string, Attempt>();
  /** Each inference takes all cores: one after the other. */
  let last: Promise<unknown> = Promise.resolve();

  function detect(): Promise<Detected[]> {
    const script = path.join(runtimeRoot, 'src', 'asrpro_worker', 'probe_cuda.py');
    const python = async () => {
      if ((await engines.status(firstEnvironment)).installed) return await engines.interpreter(firstEnvironment);
      return { ...(await engines.pip()), env: {} };
    };
    detected ??= detectCuda(python, script, environment).then((cuda) => [detectCpu(), ...cuda, detectMps(environment)]);
    return detected;
  }

  /** Tried once for each state of the engine's environment. */
  async function outcomeOf(engine: EngineId, device: Detected): Promise<Outcome> {
    const status = await engines.status(engineRow(engine).environment);
    const installed = JSON.stringify([status.packages, status.incomplete]);
    const name = `${engine} ${device.id}`;
    const known = attempts.get(name);
    if (known?.installed === installed) return known.outcome;
    const missing = status.installed ? null : status.reason;
    const outcome = last.then(() => attempt(engine, device, missing, installed));
    last = outcome.catch(() => undefined);
    attempts.set(name, { installed, outcome });
    return outcome;
  }

  /** @param missing why the engine cannot be asked, or null. */
  async function attempt(
    engine: EngineId,
    device: Detected,
    missing: string | null,
    installed: string,
  ): Promise<Outcome> {
    const no = (reason: string): Outcome => ({ usable: false, computeTypes: [], reason });
    if (!device.present) return no(device.reason ?? 'It is not there.');
    if (!engineRow(engine).devices.includes(device.kind)) return no(`${engine} has no support for ${device.kind}.`);
    const never = neverHere(engine, environment);
    if (never !== null) return no(never);
    if (missing !== null) return no(missing);
    const { id, name, memoryBytes, driver } = device;
    const key = JSON.stringify([engine, installed, id, name, memoryBytes, driver]);
    const before = driver === null ? undefined : kept.get(key);
    if (before !== undefined) return before;
    try {
      // In a process of its own: a driver that crashes says nothing about the other devices.
      const [answer] = await probe(engine, [device.id]);
      const { usable, compute_types: computeTypes, reason } = answer!;
      if (usable && driver !== null) kept.set(key, { usable, computeTypes, reason: null });
      return { usable, computeTypes, reason };
    } catch (error) {
      return no((error as Error).message);
    }
  }

  /** The best usable device of the preferred kind, else the CPU, which is not tried for this. */
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
        kept.forget();
      }
      const present = await detect();
      const devices: Device[] = [];
      for (const detected of present) {
        const { present: isThere, driver: _driver, ...device } = detected;
        const outcomes: Device['engines'] = {};
        for (const engine of engineIds) outcomes[engine] = await outcomeOf(engine, detected);
        const usable = isThere && (device.kind === 'cpu' || Object.values(outcomes).some((outcome) => outcome.usable));
        const reason = usable ? null : (device.reason ?? whyNot(outcomes));
        devices.push({ ...device, usable, reason, engines: outcomes });
      }
      const selected: Record<string, string> = {};
      for (const engine of engineIds.filter((id) => neverHere(id, environment) === null))
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
          log.warn({ prefer }, 'the preferred device is not there; using the CPU');
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

/** A device that is there, and no engine can use. */
function whyNot(outcomes: Record<string, Outcome>): string {
  const reasons = Object.entries(outcomes).map(([engine, { reason }]) => `${engine}: ${reason}`);
  return `No engine can use it. ${reasons.join(' ')}`;
}
