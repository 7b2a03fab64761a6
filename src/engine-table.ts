/**
 * Every engine and every environment, one row each; nothing else names them all. A new engine is a row here, a recogniser
 * of its files (models/recognise.ts, which does not compile without it), and its module in the worker.
 */

export const deviceKinds = ['cuda', 'mps', 'cpu'] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/** What a model is, told by its files or by the catalogue. What it can do follows from this and from its engine. */
export const families = ['whisper', 'turbo', 'distil', 'english-only', 'tdt', 'rnnt', 'ctc', 'aed'] as const;
export type Family = (typeof families)[number];

/** What requests may ask for; whatever else an engine lacks is ignored. */
export interface Capabilities {
  tasks: readonly ('transcribe' | 'translate')[];
  wordTimestamps: boolean;
  logprobs: boolean;
}

export interface EnvironmentRow {
  /**
   * Names in `locks`, in the order of their installation, and when each is installed. `all`: always. `nvidia`: on a machine
   * with an NVIDIA driver. `cpu-torch`: tried first on one without. `torch`: where that gave none. `cuda`: where torch is a
   * build for CUDA; gigabytes that a CPU build does not need.
   */
  locks: Readonly<Record<string, 'all' | 'nvidia' | 'cpu-torch' | 'torch' | 'cuda'>>;
  /** The version of Python that is taken first on a machine without an NVIDIA driver; null: whichever suits the engines best. */
  cpuPython: string | null;
  /** Space that an installation takes, in bytes; measured on Linux x86-64. */
  sizeBytes: number;
  /** The same with the packages of the roles `nvidia` and `cuda`. */
  cudaSizeBytes: number;
  /** What must import, in the new environment, before it counts as installed. */
  imports: readonly string[];
  /** Distributions whose versions are shown, of those that are there. */
  shown: readonly string[];
  /** Distributions whose files the packages of the role `nvidia` bring in another build: removed before these come. */
  replaced: readonly string[];
  /** Systems, as `platform-arch` of Node, that its packages exist for; absent: all that asrpro runs on. */
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
    // The CPU build of torch, 4 GB smaller, is locked for this one alone.
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
    // Elsewhere Ray has one machine at most.
    systems: ['linux-x64', 'linux-arm64'],
  },
} satisfies Record<string, EnvironmentRow>;

export type EnvironmentId = keyof typeof environments;
export const environmentIds = Object.keys(environments) as EnvironmentId[];
/** What a first use needs; the others are for those who want them. */
export const firstEnvironment: EnvironmentId = 'core';

interface EngineRow {
  environment: EnvironmentId;
  /** The kinds of device that it has code for, best first. */
  devices: readonly DeviceKind[];
  /** It computes by MLX, which is installed on Macs with Apple silicon alone. */
  apple: boolean;
  /** @param family null: not known. */
  capabilities(family: Family | null): Capabilities;
}

const engines = {
  'faster-whisper': {
    environment: 'core',
    devices: ['cuda', 'mps', 'cpu'],
    apple: false,
    // Turbo and the distilled models were not trained to translate: they answer in the language of the speech. CTranslate2
    // scores a whole window and not its tokens.
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
    // Its Whisper is greedy and has neither times nor probabilities; Canary (`aed`) lacks the times and translates; the
    // others have both for each token.
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
    // NeMo's confidence is a measure of entropy and no probability.
    capabilities: () => ({ tasks: ['transcribe'], wordTimestamps: true, logprobs: false }),
  },
} satisfies Record<string, EngineRow>;

export type EngineId = keyof typeof engines;
/** The mock has no row: it needs nothing of all this. */
export type ModelEngine = EngineId | 'mock';
export const engineIds = Object.keys(engines) as EngineId[];

/** Has no models and no devices of its own: it runs those of every other engine on the machines of a Ray cluster. */
export const clusterEngine = { id: 'ray', environment: 'cluster' } as const;
/** What a worker process is started as. */
export type WorkerEngine = EngineId | typeof clusterEngine.id;
/** What a model of the configuration counts as until its files are there. */
export const usualEngine: EngineId = 'faster-whisper';

export function environmentRow(id: EnvironmentId): EnvironmentRow {
  return environments[id];
}

export function engineRow(id: EngineId): EngineRow {
  return engines[id];
}

/** A Mac with Apple silicon; the tests, which run on Linux, say so with ASRPRO_TEST_MLX, see `pythonWorker`. */
export function isAppleSilicon(environment: NodeJS.ProcessEnv): boolean {
  return (process.platform === 'darwin' && process.arch === 'arm64') || environment.ASRPRO_TEST_MLX !== undefined;
}

/** Why an engine can never run on this machine, as one sentence; null where it can. */
export function neverHere(id: EngineId, environment: NodeJS.ProcessEnv): string | null {
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

/** The engine whose worker loads a model of `engine`: its own, or the one for the cluster that all models run on. */
export function workerEngine(engine: EngineId, onCluster: boolean): { id: WorkerEngine; environment: EnvironmentId } {
  return onCluster ? clusterEngine : { id: engine, environment: engines[engine].environment };
}

/** What nothing works without. */
export function neededEnvironment(onCluster: boolean): EnvironmentId {
  return onCluster ? clusterEngine.environment : firstEnvironment;
}

/** Why an environment cannot exist on a system, as one sentence; null where it can. */
export function whyNotHere(
  id: EnvironmentId,
  { platform, arch }: Pick<NodeJS.Process, 'platform' | 'arch'> = process,
): string | null {
  const { systems }: EnvironmentRow = environments[id];
  if (systems === undefined || systems.includes(`${platform}-${arch}`)) return null;
  return `The engine environment '${id}' exists for ${systems.join(' and ')} alone, and this machine is ${platform}-${arch}.`;
}

function isTransducerOrCtc(family: Family): boolean {
  return family === 'tdt' || family === 'rnnt' || family === 'ctc';
}
