/**
 * Every message between gateway and worker, in both directions. `python-runtime/src/asrpro_worker/messages.py` declares
 * the same; the golden files in test/wire/golden are read by the tests of both sides.
 *
 * Messages are msgpack maps with a `type`, keys in snake_case, times in seconds, sizes in bytes. Unknown keys are
 * dropped, so that a key can be added without a new protocol number; a change of meaning raises `PROTOCOL`.
 */
import { z } from 'zod';

export const PROTOCOL = 1;

/** Line of JSON that the gateway writes to the worker's stdin; stdin then stays open as the death pipe. */
export const bootstrap = z.object({
  protocol: z.literal(PROTOCOL),
  endpoint: z.string(),
  /** Proves in `hello` that the peer is the process we started. */
  token: z.string(),
  generation: z.number().int(),
  /** Socket identity of the worker; holds the generation and is never used twice. */
  identity: z.string(),
  engine: z.string(),
  log_level: z.string(),
  /** The worker ends itself when its parent is not this process any more. */
  parent_pid: z.number().int(),
  /** CURVE keys (Z85) where the endpoint is TCP; null on ipc. */
  curve: z.object({ server_public: z.string(), client_public: z.string(), client_secret: z.string() }).nullable(),
});
export type Bootstrap = z.infer<typeof bootstrap>;

// gateway -> worker

export const load = z.object({
  type: z.literal('load'),
  request: z.string(),
  model: z.object({
    id: z.string(),
    /** Absolute path of a directory, or of the file for `.nemo`. */
    path: z.string(),
    /** onnx-asr only: the file suffix, for example `int8`. */
    quantization: z.string().nullable(),
    /** ISO-639-1 codes the model knows; null: whatever the engine says. */
    languages: z.array(z.string()).nullable(),
  }),
  device: z.string(),
  compute_type: z.string(),
  /** Threads in all; 0: one for each physical core. */
  threads: z.number().int().nonnegative(),
  /** Jobs to run side by side; 0: what suits the machine. */
  concurrency: z.number().int().nonnegative(),
  /** For a worker that stands for a cluster: where the model shall run, and how. Absent elsewhere. */
  cluster: z
    .object({
      /** `HOST:PORT` of the head. */
      address: z.string(),
      /** null: one a node; a range is Ray's to move in. */
      replicas: z.union([z.number().int(), z.object({ min: z.number().int(), max: z.number().int() })]).nullable(),
      /** The engine that the replicas run, and the model's id. */
      engine: z.string(),
      model: z.string(),
    })
    .nullable()
    .optional(),
});

export const transcribe = z.object({
  type: z.literal('transcribe'),
  job: z.string(),
  /** Absolute path of the private spool file. */
  audio: z.string(),
  task: z.enum(['transcribe', 'translate']),
  language: z.string().nullable(),
  prompt: z.string().nullable(),
  /** null: the engine's own ladder. */
  temperature: z.number().nullable(),
  beam_size: z.number().int().positive().nullable(),
  hotwords: z.array(z.string()),
  word_timestamps: z.boolean(),
  logprobs: z.boolean(),
  vad_filter: z.boolean(),
  /** false: nobody reads the times of segments, so that the engine need not find them. */
  segment_timestamps: z.boolean().optional(),
  /** The speech is in one of these, where `language` is null; left out or null: in any. */
  languages: z.array(z.string()).nullable().optional(),
});

export const cancel = z.object({ type: z.literal('cancel'), job: z.string() });
/** Finish nothing more: release the model, answer `unloaded`, exit with 0. */
export const unload = z.object({ type: z.literal('unload'), request: z.string() });
/** Test devices with a real inference of the worker's engine; answered by `devices`. No model need be loaded. */
export const probe = z.object({ type: z.literal('probe'), request: z.string(), devices: z.array(z.string()) });

export const gatewayMessage = z.discriminatedUnion('type', [load, transcribe, cancel, unload, probe]);
export type GatewayMessage = z.infer<typeof gatewayMessage>;
export type LoadMessage = z.infer<typeof load>;
export type TranscribeMessage = z.infer<typeof transcribe>;

// worker -> gateway

export const word = z.object({
  word: z.string(),
  start: z.number(),
  end: z.number(),
  probability: z.number().nullable(),
});
export type Word = z.infer<typeof word>;

/** One token of the text. `bytes` is its UTF-8, which may be part of a character. */
export const tokenLogprob = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number().int().min(0).max(255)),
});
export type TokenLogprob = z.infer<typeof tokenLogprob>;

/**
 * A stretch of speech. `text` keeps the leading space that joins it to the one before. Numbers that an engine does not
 * have are 0 and listed in `capabilities.neutral` of its `loaded`.
 */
export const segment = z.object({
  /** From 0, in order, without gaps. */
  id: z.number().int().nonnegative(),
  /** Start of the decoded window in frames of 10 ms. */
  seek: z.number().int().nonnegative(),
  start: z.number(),
  end: z.number(),
  text: z.string(),
  tokens: z.array(z.number().int()),
  temperature: z.number(),
  avg_logprob: z.number(),
  compression_ratio: z.number(),
  no_speech_prob: z.number(),
  /** null where word times were not asked for. */
  words: z.array(word).nullable(),
  /** null where log-probabilities were not asked for. */
  logprobs: z.array(tokenLogprob).nullable(),
});
export type Segment = z.infer<typeof segment>;

/** What an engine can honour with the loaded model; the gateway states the same beforehand (models/capabilities.ts). */
export const capabilities = z.object({
  tasks: z.array(z.enum(['transcribe', 'translate'])),
  word_timestamps: z.boolean(),
  logprobs: z.boolean(),
  prompt: z.boolean(),
  temperature: z.boolean(),
  hotwords: z.boolean(),
  detects_language: z.boolean(),
  /** Segment keys that hold a neutral 0 or [] because the engine has no such number. */
  neutral: z.array(z.string()),
});
export type Capabilities = z.infer<typeof capabilities>;

export const hello = z.object({
  type: z.literal('hello'),
  protocol: z.number().int(),
  token: z.string(),
  pid: z.number().int(),
  engine: z.string(),
  /** Package name to version, Python included. */
  versions: z.record(z.string(), z.string()),
});

export const loading = z.object({
  type: z.literal('loading'),
  request: z.string(),
  phase: z.enum(['import', 'weights', 'warm-up']),
});

export const loaded = z.object({
  type: z.literal('loaded'),
  request: z.string(),
  /** What is in force, not what was asked for. */
  device: z.string(),
  compute_type: z.string(),
  threads: z.number().int(),
  /** Jobs that this worker runs side by side. */
  concurrency: z.number().int().positive(),
  languages: z.array(z.string()),
  capabilities,
  /** Resident memory of the worker after warm-up. */
  memory_bytes: z.number().int(),
  /** import, weights and warm-up together. */
  seconds: z.number(),
});
export type Loaded = z.infer<typeof loaded>;

/** The audio could be opened and its beginning decoded. */
export const started = z.object({ type: z.literal('started'), job: z.string(), duration: z.number().nullable() });
/** The job is alive and this far, in seconds of audio; moves the deadline where no segment comes. */
export const progress = z.object({ type: z.literal('progress'), job: z.string(), position: z.number() });
export const segmentReady = z.object({ type: z.literal('segment'), job: z.string(), segment });

export const result = z.object({
  type: z.literal('result'),
  job: z.string(),
  /** ISO-639-1; null where the engine does not say. */
  language: z.string().nullable(),
  language_probability: z.number().nullable(),
  /** Decoded length in seconds. */
  duration: z.number(),
  /** Damaged packets that were skipped while decoding. */
  skipped_packets: z.number().int().nonnegative(),
  /** Seconds by stage (`decode`, `features`, `engine` …), for tracing. */
  timings: z.record(z.string(), z.number()),
});
export type JobResult = z.infer<typeof result>;

/** `code` is one of errors.ts; an unknown one becomes `internal_error`. */
export const failure = z.object({
  type: z.literal('error'),
  /** A job, or the request id of `load`, `unload` or `probe`. */
  subject: z.string(),
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
});
export type Failure = z.infer<typeof failure>;

export const cancelled = z.object({ type: z.literal('cancelled'), job: z.string() });
export const unloaded = z.object({
  type: z.literal('unloaded'),
  request: z.string(),
  memory_before: z.number().int(),
  memory_after: z.number().int(),
});

export const probedDevice = z.object({
  id: z.string(),
  usable: z.boolean(),
  compute_types: z.array(z.string()),
  reason: z.string().nullable(),
});
export type ProbedDevice = z.infer<typeof probedDevice>;
export const devices = z.object({ type: z.literal('devices'), request: z.string(), devices: z.array(probedDevice) });

/** A machine of the cluster. */
export const clusterNode = z.object({
  id: z.string(),
  name: z.string(),
  alive: z.boolean(),
  cpus: z.number(),
  gpus: z.number(),
  memory_bytes: z.number(),
  /** Replicas that fit on it, and those that run there. */
  slots: z.number(),
  replicas: z.number(),
  models: z.array(z.string()),
});
export type ClusterNode = z.infer<typeof clusterNode>;
/** From a worker that stands for a cluster: when it is connected, and whenever something of it changes. */
export const cluster = z.object({
  type: z.literal('cluster'),
  reachable: z.boolean(),
  /** Why it is out of reach, as one sentence. */
  reason: z.string().nullable(),
  nodes: z.array(clusterNode),
});
export type ClusterReport = Omit<z.infer<typeof cluster>, 'type'>;

export const workerMessage = z.discriminatedUnion('type', [
  hello,
  loading,
  loaded,
  started,
  progress,
  segmentReady,
  result,
  failure,
  cancelled,
  unloaded,
  devices,
  cluster,
]);
export type WorkerMessage = z.infer<typeof workerMessage>;
