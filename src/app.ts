import path from 'node:path';
import { allClosed, endProcessLater } from './closing.ts';
import type { Cluster } from './cluster/cluster.ts';
import { loadOnCluster, rayEnvironment } from './cluster/settings.ts';
import { inFolder } from './config/own-folder.ts';
import type { Paths } from './config/paths.ts';
import type { Config } from './config/schema.ts';
import { lastCrash, selectedModel } from './config/store.ts';
import type { Devices } from './devices/types.ts';
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
import type { Patience } from './worker/worker.ts';

/** The end of an application on a cluster takes so long at the most: its processes are waited for. */
const CLUSTER_STOP_SECONDS = 15;

/** The rooms of the program. `app.ts` builds and wires them; nothing else does. */
export interface Services {
  readonly config: Config;
  readonly paths: Paths;
  readonly log: Log;
  /** This process's private folder; removed by `close`. */
  readonly run: RunDirectory;
  readonly library: ModelLibrary;
  readonly downloads: Downloads;
  readonly engines: Engines;
  readonly devices: Devices;
  /** The one that models run on; null: they run on this machine. */
  readonly cluster: Cluster | null;
  readonly residency: Residency;
  readonly transcription: TranscriptionService;
  /**
   * Ends everything within `server.drainSeconds` and one more: running jobs, workers, downloads and installations, also
   * those that wait for something. Then removes what is temporary. A room that does not end by then does not keep the
   * process either.
   *
   * @param served the end of what still uses temporary files, within the same limit: the HTTP server's.
   */
  close(served?: Promise<unknown>): Promise<void>;
}

export type ServiceParts = Pick<Services, 'config' | 'paths' | 'log'> & {
  environment: NodeJS.ProcessEnv;
  /** The fake worker and its models instead of the real ones. */
  mock?: boolean;
  /** Seconds between two segments of `mock-slow`. */
  mockPace?: number;
};

/** What differs between the real program and the mock. */
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
  const run = inFolder(paths.run, parts.environment, () => createRunDirectory(paths.run));
  const removeRun = (): void => run.remove();
  process.once('exit', removeRun);
  await run.claimed;

  const backend = parts.mock ? await buildMock(config, log, parts.mockPace) : await buildReal(parts, run);
  const { engines, devices, library, downloads, cluster } = backend;
  const selected = selectedModel(paths);
  // One after the other, so that the last word stays; awaited at the end, so that nothing is written after that.
  let remembered = Promise.resolve();
  const remember = (what: string, write: () => Promise<void>): void => {
    remembered = remembered
      .then(write)
      .catch((error: unknown) => log.warn({ err: error }, `${what} is not remembered`));
  };
  const residency = createResidency({
    log,
    ...{ start: backend.start, patience: patience(config) },
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
    onSelected: (model) => remember('the selected model', () => selected.set(model)),
    onCrash: (words) => remember('the crash', () => lastCrash(paths).set({ at: new Date().toISOString(), words })),
  });

  const closeAll = async (served?: Promise<unknown>): Promise<void> => {
    const { drainSeconds } = config.server;
    const seconds = drainSeconds + CLOSE_GRACE_SECONDS;
    const rooms = [
      { name: 'residency', closed: residency.close(drainSeconds), seconds },
      { name: 'downloads', closed: downloads.close(), seconds },
      { name: 'engines', closed: engines.close(), seconds },
      // It keeps the same limit itself, and has its sockets to close after it.
      { name: 'the HTTP server', closed: served ?? Promise.resolve(), seconds: seconds + CLOSE_GRACE_SECONDS },
    ];
    const inTime = await allClosed(rooms, log);
    const written = { name: 'what is remembered', closed: remembered, seconds: CLOSE_GRACE_SECONDS };
    const all = (await allClosed([written], log)) && inTime;
    run.remove();
    if (!all) endProcessLater(CLOSE_GRACE_SECONDS);
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
    { keptOutcomes },
    { createModelLibrary },
    { createDownloads },
    process,
    { createProbe },
    { pythonWorker },
  ] = await Promise.all([
    import('./engines/engines.ts'),
    import('./devices/devices.ts'),
    import('./devices/detect.ts'),
    import('./devices/kept-outcomes.ts'),
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
  const elsewhere = await buildCluster(parts, engines, runtimeRoot);
  const start = process.createProcessStarter({
    log,
    run,
    async command(engine) {
      if (!isEngineId(engine)) throw new Error(`no process runs the engine '${engine}'`);
      const runner = workerEngine(engine, elsewhere !== null);
      const { python, env } = await engines.interpreter(runner.environment);
      // A head that is gone costs a connection and no process.
      await elsewhere?.cluster.requireHead();
      const more = elsewhere === null ? env : { ...env, ...rayEnvironment(config, paths) };
      return { ...pythonWorker(python, more, runtimeRoot, environment), engine: runner.id };
    },
  });
  return {
    engines,
    library,
    start,
    cluster: elsewhere?.cluster ?? null,
    devices:
      elsewhere?.devices ??
      createDevices({
        ...{ config, log, engines, environment, runtimeRoot },
        kept: keptOutcomes(path.join(paths.cache, 'devices.json')),
        probe: createProbe(start, patience(config), log),
      }),
    downloads: createDownloads({ config, paths, log, library, pip: () => engines.pip(), environment }),
  };
}

/** Nothing of it is loaded where models run on this machine. */
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
 * How long the engine may be silent. One window of Whisper (30 s of audio) can take six temperatures times five beams;
 * large-v3 on two old cores needs minutes for that, so a job gets five minutes a window and less where the audio is
 * shorter than one.
 */
function patience(config: Config): Patience {
  return {
    hello: 60,
    load: config.worker.loadTimeoutSeconds,
    job: (audioSeconds) => 60 + 8 * Math.min(audioSeconds ?? 30, 30),
    cancel: 2,
    // The kernel needs two seconds to give back 20 GB; what takes longer hangs in a driver or on a network drive.
    kill: 10,
  };
}
