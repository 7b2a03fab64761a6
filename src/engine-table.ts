/**
 * The only list of all engines and environments. A new engine needs a row here, a recogniser of its files in
 * models/recognise.ts (which does not compile without one), and its module in the worker.
 */

export const deviceKinds = ['cuda', 'mps', 'cpu'] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/** The kind of a model, from its files or the catalogue. Family and engine together determine the capabilities. */
export const families = ['whisper', 'turbo', 'distil', 'english-only', 'tdt', 'rnnt', 'ctc', 'aed'] as const;
export type Family = (typeof families)[number];

/** A request for a capability that a model lacks is refused. Other options that an engine lacks are ignored. */
export interface Capabilities {
  tasks: readonly ('transcribe' | 'translate')[];
  wordTimestamps: boolean;
  logprobs: boolean;
}

export interface EnvironmentRow {
  /**
   * Lock files in order of installation, and when each is installed. `all`: always. `nvidia`: with an NVIDIA driver.
   * `cpu-torch`: tried first without one. `torch`: when `cpu-torch` was not installed. `cuda`: when torch is a build for
   * CUDA, which needs gigabytes of libraries.
   */
  locks: Readonly<Record<string, 'all' | 'nvidia' | 'cpu-torch' | 'torch' | 'cuda'>>;
  /** The Python version preferred on a machine without an NVIDIA driver; null: the usual order. */
  cpuPython: string | null;
  /** Disk space of an installation, in bytes; measured on Linux x86-64. */
  sizeBytes: number;
  /** Disk space with the lock files `nvidia` and `cuda`. */
  cudaSizeBytes: number;
  /** Modules that must be importable before the environment counts as installed. */
  imports: readonly string[];
  /** Distributions whose versions are shown when they are installed. */
  shown: readonly string[];
  /** Distributions that the `nvidia` lock file replaces with another build. They are removed before it is installed. */
  replaced: readonly string[];
  /** `platform-arch` of Node for which its packages exist; absent: all that asrpro supports. */
  systems?: readonly string[];
}

const environments = {
  core: {
    locks: { core: 'all', 'core-cuda': 'nvidia' },
    cpuPython: null,
    sizeBytes: 485_000_000,
    cudaSizeBytes: 3_670_000_000,
    imports: ['faster_whisper', 'ctranslate2', 'onnx_asr', 'onnxruntime', 'zmq', 'msgspec', 'psutil'],
    shown: ['faster-whisper', 'ctranslate2', 'onnx-asr', 'onnxruntime', 'onnxruntime-gpu'],
    replaced: ['onnxruntime'],
  },
  nemo: {
    locks: { 'nemo-torch-cpu': 'cpu-torch', 'nemo-torch': 'torch', 'nemo-cuda': 'cuda', nemo: 'all' },
    // The CPU build of torch, which is 4 GB smaller, is locked for this version only.
    cpuPython: '3.11',
    sizeBytes: 2_460_000_000,
    cudaSizeBytes: 6_500_000_000,
    imports: ['torch', 'nemo.collections.asr', 'zmq', 'msgspec', 'psutil', 'av'],
    shown: ['nemo-toolkit', 'torch'],
    replaced: [],
  },
  cluster: {
    locks: { cluster: 'all', 'core-cuda': 'nvidia' },
    cpuPython: null,
    sizeBytes: 830_000_000,
    cudaSizeBytes: 4_015_000_000,
    imports: ['ray.serve', 'faster_whisper', 'ctranslate2', 'onnx_asr', 'onnxruntime', 'zmq', 'msgspec', 'psutil'],
    shown: ['ray', 'faster-whisper', 'ctranslate2', 'onnx-asr', 'onnxruntime', 'onnxruntime-gpu'],
    replaced: ['onnxruntime'],
    // On other systems Ray supports a single machine only.
    systems: ['linux-x64', 'linux-arm64'],
  },
} satisfies Record<string, EnvironmentRow>;

export type EnvironmentId = keyof typeof environments;
export const environmentIds = Object.keys(environments) as EnvironmentId[];
/** The environment that a first use installs. */
export const defaultEnvironment: EnvironmentId = 'core';

interface EngineRow {
  environment: EnvironmentId;
  /** Supported kinds of device, best first. */
  devices: readonly DeviceKind[];
  /** It uses MLX, which is installed only on Macs with Apple silicon. */
  apple: boolean;
  /** @param family null: unknown. */
  capabilities(family: Family | null): Capabilities;
}

const engines = {
  'faster-whisper': {
    environment: 'core',
    devices: ['cuda', 'mps', 'cpu'],
    apple: false,
    // Turbo and distilled models were not trained to translate: they answer in the language of the speech. CTranslate2
    // has one score for a window and none for its tokens.
    capabilities: (family) => ({
      tasks: family === 'whisper' ? ['transcribe', 'translate'] : ['transcribe'],
      wordTimestamps: true,
      logprobs: false,
    }),
  },
  'onnx-asr': {
    environment: 'core',
    devices: ['cuda', 'cpu'],
    apple: false,
    // Its Whisper decoder is greedy and returns neither times nor probabilities. Canary (`aed`) returns probabilities
    // and translates. The other families return times and probabilities for each token.
    capabilities: (family) => {
      const timed = family === null || isTransducerOrCtc(family);
      const canary = family === 'aed';
      return {
        tasks: canary ? ['transcribe', 'translate'] : ['transcribe'],
        wordTimestamps: timed,
        logprobs: timed || canary,
      };
    },
  },
  'parakeet-mlx': {
    environment: 'core',
    devices: ['mps', 'cpu'],
    apple: true,
    capabilities: () => ({ tasks: ['transcribe'], wordTimestamps: true, logprobs: true }),
  },
  nemo: {
    environment: 'nemo',
    devices: ['cuda', 'mps', 'cpu'],
    apple: false,
    // NeMo's confidence is an entropy measure, not a probability.
    capabilities: () => ({ tasks: ['transcribe'], wordTimestamps: true, logprobs: false }),
  },
} satisfies Record<string, EngineRow>;

export type EngineId = keyof typeof engines;
/** The mock has no row, because it has no environment and no devices. */
export type ModelEngine = EngineId | 'mock';
export const engineIds = Object.keys(engines) as EngineId[];

/** Runs the models of all other engines on the machines of a Ray cluster. */
export const clusterEngine = { id: 'ray', environment: 'cluster' } as const;
/** The engine that a worker process starts as. */
export type WorkerEngine = EngineId | typeof clusterEngine.id;
/** The engine assumed for a configured model that is not downloaded yet. */
export const defaultEngine: EngineId = 'faster-whisper';

export function environmentRow(id: EnvironmentId): EnvironmentRow {
  return environments[id];
}

export function engineRow(id: EngineId): EngineRow {
  return engines[id];
}

/** Whether this is a Mac with Apple silicon. ASRPRO_TEST_MLX simulates one, see docs/devices.md. */
export function isAppleSilicon(environment: NodeJS.ProcessEnv): boolean {
  return (process.platform === 'darwin' && process.arch === 'arm64') || environment.ASRPRO_TEST_MLX !== undefined;
}

/** Why an engine cannot run on this machine, as one sentence; null: it can. */
export function engineUnsupported(id: EngineId, environment: NodeJS.ProcessEnv): string | null {
  if (!engines[id].apple || isAppleSilicon(environment)) return null;
  return `${id} needs a Mac with Apple silicon: choose a model of another engine.`;
}

export function isEnvironmentId(text: string): text is EnvironmentId {
  return Object.hasOwn(environments, text);
}

export function isEngineId(text: string): text is EngineId {
  return Object.hasOwn(engines, text);
}

export function enginesIn(environment: EnvironmentId): WorkerEngine[] {
  if (environment === clusterEngine.environment) return [clusterEngine.id];
  return engineIds.filter((id) => engines[id].environment === environment);
}

/** The engine whose worker loads a model of `engine`: that engine, or `ray` when models run on a cluster. */
export function workerEngine(engine: EngineId, onCluster: boolean): { id: WorkerEngine; environment: EnvironmentId } {
  return onCluster ? clusterEngine : { id: engine, environment: engines[engine].environment };
}

/** The environment without which no model can be loaded. */
export function requiredEnvironment(onCluster: boolean): EnvironmentId {
  return onCluster ? clusterEngine.environment : defaultEnvironment;
}

/** Why an environment cannot be installed on a system, as one sentence; null: it can. */
export function environmentUnsupported(
  id: EnvironmentId,
  { platform, arch }: Pick<NodeJS.Process, 'platform' | 'arch'> = process,
): string | null {
  const { systems }: EnvironmentRow = environments[id];
  if (systems === undefined || systems.includes(`${platform}-${arch}`)) return null;
  return `The engine environment '${id}' exists only for ${systems.join(' and ')}; this machine is ${platform}-${arch}.`;
}

function isTransducerOrCtc(family: Family): boolean {
  return family === 'tdt' || family === 'rnnt' || family === 'ctc';
}
