import { inFolder } from './config/own-folder.ts';
import type { Paths } from './config/paths.ts';
import type { Config } from './config/schema.ts';
import { lastCrash, selectedModel } from './config/store.ts';
import type { Devices } from './devices/types.ts';
import type { Downloads } from './downloads/types.ts';
import type { Engines, EnvironmentId } from './engines/types.ts';
import type { Log } from './log.ts';
import type { Model, ModelEngine, ModelLibrary } from './models/model.ts';
import { packageFile } from './package-files.ts';
import { ModelResidency } from './residency/residency.ts';
import type { Residency } from './residency/types.ts';
import { createTranscriptionService } from './transcription/service.ts';
import type { TranscriptionService } from './transcription/types.ts';
import { createRunDirectory, type RunDirectory, sweepRunDirectories } from './wire/run-directory.ts';
import type { StartWorker } from './worker/handle.ts';
import { Supervisor } from './worker/supervisor.ts';
import type { Patience } from './worker/worker.ts';

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
  readonly residency: Residency;
  readonly transcription: TranscriptionService;
  /** Drains running jobs for `server.drainSeconds`, ends the worker and all jobs, removes what is temporary. */
  close(): Promise<void>;
}

export type ServiceParts = Pick<Services, 'config' | 'paths' | 'log'> & {
  environment: NodeJS.ProcessEnv;
  /** The fake worker and its models instead of the real ones. */
  mock?: boolean;
};

/** What differs between the real program and the mock. */
interface Backend {
  library: ModelLibrary;
  downloads: Downloads;
  engines: Engines;
  devices: Devices;
  start: StartWorker;
}

/** Which environment an engine lives in; the mock needs none. */
const ENVIRONMENT: Record<ModelEngine, EnvironmentId | null> = {
  'faster-whisper': 'core',
  'onnx-asr': 'core',
  nemo: 'nemo',
  mock: null,
};

export async function buildServices(parts: ServiceParts): Promise<Services> {
  const { config, paths, log } = parts;
  const swept = await sweepRunDirectories(paths.run);
  if (swept > 0) log.info({ folders: swept }, 'removed what a crash had left');
  const run = inFolder(paths.run, parts.environment, () => createRunDirectory(paths.run));
  const removeRun = (): void => run.remove();
  process.once('exit', removeRun);
  await run.claimed;

  const backend = parts.mock ? await buildMock(config, log) : await buildReal(parts, run);
  const { engines, devices, library, downloads } = backend;
  const supervisor = new Supervisor(backend.start, patience(config), log, (words) => {
    const crash = { at: new Date().toISOString(), words };
    void lastCrash(paths)
      .set(crash)
      .catch((error: unknown) => log.warn({ err: error }, 'the crash is not remembered'));
  });
  const selected = selectedModel(paths);
  const residency = new ModelResidency({
    supervisor,
    log,
    maxQueue: config.server.maxQueue,
    queueSeconds: config.server.queueSeconds,
    drainSeconds: config.server.drainSeconds,
    stopSeconds: config.worker.stopSeconds,
    requireEngine: async (engine) => {
      const environment = ENVIRONMENT[engine];
      if (environment !== null) await engines.interpreter(environment);
    },
    loadSettings: async (model) => loadSettings(model, config, devices),
    onLoadFailed: (model, failure) => library.noteLoad(model, failure),
    onSelected: (model) => {
      library.noteLoad(model, null);
      void selected
        .set(model.id)
        .catch((error: unknown) => log.warn({ err: error }, 'the selected model is not remembered'));
    },
  });

  return {
    config,
    paths,
    log,
    run,
    library,
    downloads,
    engines,
    devices,
    residency,
    transcription: createTranscriptionService({ config, library, jobs: residency }),
    async close() {
      await Promise.all([residency.close(config.server.drainSeconds), downloads.close(), engines.close()]);
      run.remove();
      process.removeListener('exit', removeRun);
    },
  };
}

async function buildReal({ config, paths, log, environment }: ServiceParts, run: RunDirectory): Promise<Backend> {
  const [
    { createEngines },
    { createDevices },
    { mayHaveCuda },
    { createModelLibrary },
    { createDownloads },
    process,
    { createProbe },
    { pythonWorker },
  ] = await Promise.all([
    import('./engines/engines.ts'),
    import('./devices/devices.ts'),
    import('./devices/detect.ts'),
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
  const start = process.createProcessStarter({
    log,
    run,
    async command(engine) {
      const { python, env } = await engines.interpreter(ENVIRONMENT[engine] ?? 'core');
      return pythonWorker(python, env, runtimeRoot, environment);
    },
  });
  return {
    engines,
    library,
    start,
    devices: createDevices({
      ...{ config, log, engines, environment, runtimeRoot },
      probe: createProbe(start, patience(config), log),
    }),
    downloads: createDownloads({ config, paths, log, library, pip: () => engines.pip(), environment }),
  };
}

async function buildMock(config: Config, log: Log): Promise<Backend> {
  const [{ createMockLibrary }, { createMockDownloads }, environments, { startMockWorker }] = await Promise.all([
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
    start: startMockWorker,
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
  };
}
