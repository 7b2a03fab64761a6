import path from 'node:path';
import { allClosed, endProcessLater } from './closing.ts';
import type { Cluster } from './cluster/cluster.ts';
import { loadOnCluster, rayEnvironment } from './cluster/settings.ts';
import type { Paths } from './config/paths.ts';
import type { Config } from './config/schema.ts';
import { lastCrash, selectedModel } from './config/store.ts';
import type { Devices } from './devices/types.ts';
import { homePlace, onDisk } from './disk-error.ts';
import type { Downloads } from './downloads/types.ts';
import { isEngineId, workerEngine } from './engine-table.ts';
import type { Engines } from './engines/types.ts';
import type { Log } from './log.ts';
import type { Model, ModelLibrary } from './models/model.ts';
import { packageFile } from './package-files.ts';
import { CLOSE_GRACE_SECONDS } from './residency/decide.ts';
import { createResidency } from './residency/residency.ts';
import type { Residency } from './residency/types.ts';
import { createTranscriptionService } from './transcription/service.ts';
import type { TranscriptionService } from './transcription/types.ts';
import { createRunDirectory, type RunDirectory, sweepRunDirectories } from './wire/run-directory.ts';
import type { StartWorker } from './worker/handle.ts';
import type { Timeouts } from './worker/worker.ts';

/** Longest time that a cluster application needs to stop its processes. */
const CLUSTER_STOP_SECONDS = 15;

/** The parts of the program. Only `app.ts` builds and connects them. */
export interface Services {
  readonly config: Config;
  readonly paths: Paths;
  readonly log: Log;
  /** Private folder of this process; `close` removes it. */
  readonly run: RunDirectory;
  readonly library: ModelLibrary;
  readonly downloads: Downloads;
  readonly engines: Engines;
  readonly devices: Devices;
  /** The cluster that runs the models; null: they run on this machine. */
  readonly cluster: Cluster | null;
  readonly residency: Residency;
  readonly transcription: TranscriptionService;
  /**
   * Ends jobs, workers, downloads and installations, running or waiting, within `server.drainSeconds` + 1 s. Waits for `served`
   * (the HTTP server has closed), then removes the temporary files. A part that does not end in time does not keep the
   * process alive.
   */
  close(served?: Promise<unknown>): Promise<void>;
}

export type ServiceParts = Pick<Services, 'config' | 'paths' | 'log'> & {
  environment: NodeJS.ProcessEnv;
  /** Use the mock worker and its models. */
  mock?: boolean;
  /** Seconds between two segments of `mock-slow`. */
  mockPace?: number;
};

/** The parts that differ between the real program and the mock. */
interface Backend {
  library: ModelLibrary;
  downloads: Downloads;
  engines: Engines;
  devices: Devices;
  cluster: Cluster | null;
  start: StartWorker;
}

export async function buildServices(parts: ServiceParts): Promise<Services> {
  const { config, paths, log } = parts;
  const swept = await sweepRunDirectories(paths.run);
  if (swept > 0) log.info({ folders: swept }, 'removed what a crash had left');
  const run = await onDisk(homePlace(paths.run, parts.environment), () => createRunDirectory(paths.run));
  const removeRun = (): void => run.remove();
  process.once('exit', removeRun);
  await run.claimed;

  const backend = parts.mock ? await buildMock(config, log, parts.mockPace) : await buildReal(parts, run);
  const { engines, devices, library, downloads, cluster } = backend;
  const selected = selectedModel(paths);
  // Writes to state.json run in sequence, so that the last one wins. `close` waits for them.
  let stateWritten = Promise.resolve();
  const writeState = (what: string, write: () => Promise<void>): void => {
    stateWritten = stateWritten
      .then(write)
      .catch((error: unknown) => log.warn({ err: error }, `could not store ${what} in state.json`));
  };
  const residency = createResidency({
    log,
    ...{ start: backend.start, timeouts: timeouts(config) },
    maxQueue: config.server.maxQueue,
    queueSeconds: config.server.queueSeconds,
    drainSeconds: config.server.drainSeconds,
    stopSeconds: Math.max(config.worker.stopSeconds, cluster === null ? 0 : CLUSTER_STOP_SECONDS),
    requireEngine: async (engine) => {
      if (isEngineId(engine)) await engines.interpreter(workerEngine(engine, cluster !== null).environment);
    },
    async loadSettings(model) {
      const settings = await loadSettings(model, config, devices);
      return cluster === null ? settings : { ...settings, cluster: loadOnCluster(config, model) };
    },
    onCluster: (report) => cluster?.onReport(report),
    onLoaded: (model) => library.noteLoad(model, null),
    onLoadFailed: (model, failure) => library.noteLoad(model, failure),
    onSelected: (model) => writeState('the selected model', () => selected.set(model)),
    onCrash: (words) => writeState('the crash', () => lastCrash(paths).set({ at: new Date().toISOString(), words })),
  });

  const closeAll = async (served?: Promise<unknown>): Promise<void> => {
    const { drainSeconds } = config.server;
    const seconds = drainSeconds + CLOSE_GRACE_SECONDS;
    const rooms = [
      { name: 'residency', closed: residency.close(drainSeconds), seconds },
      { name: 'downloads', closed: downloads.close(), seconds },
      { name: 'engines', closed: engines.close(), seconds },
      // The server has the same limit for its requests, and then needs time to close its sockets.
      { name: 'the HTTP server', closed: served ?? Promise.resolve(), seconds: seconds + CLOSE_GRACE_SECONDS },
    ];
    const inTime = await allClosed(rooms, log);
    const written = { name: 'state.json', closed: stateWritten, seconds: CLOSE_GRACE_SECONDS };
    const allInTime = (await allClosed([written], log)) && inTime;
    run.remove();
    if (!allInTime) endProcessLater(CLOSE_GRACE_SECONDS);
    process.removeListener('exit', removeRun);
  };
  let closed: Promise<void> | null = null;

  return {
    config,
    paths,
    log,
    run,
    library,
    downloads,
    engines,
    devices,
    cluster,
    residency,
    transcription: createTranscriptionService({ config, library, jobs: residency }),
    async close(served) {
      closed ??= closeAll(served);
      await closed;
    },
  };
}

async function buildReal(parts: ServiceParts, run: RunDirectory): Promise<Backend> {
  const { config, paths, log, environment } = parts;
  const [
    { createEngines },
    { createDevices },
    { mayHaveCuda },
    { createOutcomeCache },
    { createModelLibrary },
    { createDownloads },
    process,
    { createProbe },
    { pythonWorker },
  ] = await Promise.all([
    import('./engines/engines.ts'),
    import('./devices/devices.ts'),
    import('./devices/detect.ts'),
    import('./devices/outcome-cache.ts'),
    import('./models/library.ts'),
    import('./downloads/downloads.ts'),
    import('./worker/process.ts'),
    import('./worker/probe.ts'),
    import('./worker/python.ts'),
  ]);
  const runtimeRoot = packageFile('python-runtime');
  const engines = createEngines({
    ...{ config, paths, log, environment, runtimeRoot },
    nvidia: mayHaveCuda(environment),
  });
  const library = createModelLibrary({ config, paths, log, environment, engineStatus: (id) => engines.status(id) });
  const clusterParts = await buildCluster(parts, engines, runtimeRoot);
  const start = process.createProcessStarter({
    log,
    run,
    async command(engine) {
      if (!isEngineId(engine)) throw new Error(`no process runs the engine '${engine}'`);
      const runner = workerEngine(engine, clusterParts !== null);
      const { python, env } = await engines.interpreter(runner.environment);
      // Checks with one connection that the head answers, before a worker process is started in vain.
      await clusterParts?.cluster.requireHead();
      const workerEnv = clusterParts === null ? env : { ...env, ...rayEnvironment(config, paths) };
      return { ...pythonWorker(python, workerEnv, runtimeRoot, environment), engine: runner.id };
    },
  });
  return {
    engines,
    library,
    start,
    cluster: clusterParts?.cluster ?? null,
    devices:
      clusterParts?.devices ??
      createDevices({
        ...{ config, log, engines, environment, runtimeRoot },
        cache: createOutcomeCache(path.join(paths.cache, 'devices.json')),
        probe: createProbe(start, timeouts(config), log),
      }),
    downloads: createDownloads({ config, paths, log, library, pip: () => engines.pip(), environment }),
  };
}

/** null if models run on this machine; the cluster's code is then not even loaded. */
async function buildCluster(parts: ServiceParts, engines: Engines, runtimeRoot: string) {
  const { config } = parts;
  const { address } = config.cluster;
  if (address === null) return null;
  const [{ createCluster }, { createClusterDevices }, { askStatus }] = await Promise.all([
    import('./cluster/cluster.ts'),
    import('./cluster/devices.ts'),
    import('./cluster/node.ts'),
  ]);
  const ask = async () => (await askStatus(address, { ...parts, engines, runtimeRoot })).nodes;
  const cluster = createCluster({ address, ask });
  return { cluster, devices: createClusterDevices(config, cluster) };
}

async function buildMock(config: Config, log: Log, pace: number | undefined): Promise<Backend> {
  const [{ createMockLibrary }, { createMockDownloads }, environments, { createMockStarter }] = await Promise.all([
    import('./mock/library.ts'),
    import('./mock/downloads.ts'),
    import('./mock/environments.ts'),
    import('./mock/worker.ts'),
  ]);
  const library = createMockLibrary(config);
  return {
    library,
    downloads: createMockDownloads(library, log),
    engines: environments.createMockEngines(),
    devices: environments.createMockDevices(),
    cluster: null,
    start: createMockStarter(pace),
  };
}

async function loadSettings(model: Model, config: Config, devices: Devices) {
  const { device, computeType } = await devices.select(model.engine);
  return {
    device,
    compute_type: config.models.settings[model.id]?.computeType ?? computeType,
    threads: config.device.threads,
    concurrency: config.device.concurrency,
  };
}

/**
 * Time limits of a worker, in seconds. Whisper may decode one window (30 s of audio) at six temperatures with five beams,
 * for which large-v3 needs minutes on two old cores. So a job may be silent for five minutes, or less if its audio is
 * shorter than one window.
 */
function timeouts(config: Config): Timeouts {
  return {
    hello: 60,
    load: config.worker.loadTimeoutSeconds,
    job: (audioSeconds) => 60 + 8 * Math.min(audioSeconds ?? 30, 30),
    cancel: 2,
    // The kernel needs two seconds to free 20 GB. A process that takes longer hangs in a driver or on a network drive.
    kill: 10,
  };
}
