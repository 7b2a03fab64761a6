/**
 * Every message between gateway and worker: msgpack maps with a `type`, keys in snake_case, times in seconds, sizes in
 * bytes. `python-runtime/src/asrpro_worker/messages.py` declares the same. Unknown keys are dropped, so a key can be
 * added without a new protocol number; a change of meaning raises `PROTOCOL`.
 */
import { z } from 'zod';

export const PROTOCOL = 1;

/** The line of JSON on the worker's stdin. stdin then stays open: when it closes, the gateway has died. */
export const bootstrap = z.object({
  protocol: z.literal(PROTOCOL),
  endpoint: z.string(),
  /** The worker repeats it in `hello` to prove that it is the process that the gateway started. */
  token: z.string(),
  generation: z.number().int(),
  /** Socket identity of the worker, which contains the generation and is never reused. */
  identity: z.string(),
  engine: z.string(),
  log_level: z.string(),
  /** The worker exits when this process is no longer its parent. */
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
    /** Absolute path of a directory, or of a `.nemo` file. */
    path: z.string(),
    /** onnx-asr only: the suffix of the files, for example `int8`. */
    quantization: z.string().nullable(),
    /** ISO-639-1 codes of the model's languages; null: the engine decides. */
    languages: z.array(z.string()).nullable(),
  }),
  device: z.string(),
  compute_type: z.string(),
  /** Total number of threads; 0: one per physical core. */
  threads: z.number().int().nonnegative(),
  /** How many jobs run concurrently; 0: the worker decides. */
  concurrency: z.number().int().nonnegative(),
  /** Set when the worker loads the model on a Ray cluster. */
  cluster: z
    .object({
      /** `HOST:PORT` of the head. */
      address: z.string(),
      /** null: one per node. Ray scales within a range. */
      replicas: z.union([z.number().int(), z.object({ min: z.number().int(), max: z.number().int() })]).nullable(),
      /** The engine that the replicas run; `model` is the model's id. */
      engine: z.string(),
      model: z.string(),
    })
    .nullable()
    .optional(),
});

export const transcribe = z.object({
  type: z.literal('transcribe'),
  job: z.string(),
  /** Absolute path of the uploaded file. */
  audio: z.string(),
  task: z.enum(['transcribe', 'translate']),
  language: z.string().nullable(),
  prompt: z.string().nullable(),
  /** null: the engine's default, for Whisper its fallback temperatures. */
  temperature: z.number().nullable(),
  beam_size: z.number().int().positive().nullable(),
  hotwords: z.array(z.string()),
  word_timestamps: z.boolean(),
  logprobs: z.boolean(),
  vad_filter: z.boolean(),
  /** false: the client does not get segment times, so the engine may skip them. */
  segment_timestamps: z.boolean().optional(),
  /** Restricts language detection when `language` is null; left out or null: any language. */
  languages: z.array(z.string()).nullable().optional(),
});

export const cancel = z.object({ type: z.literal('cancel'), job: z.string() });
/** The worker finishes no job, releases the model, answers `unloaded` and exits with 0. */
export const unload = z.object({ type: z.literal('unload'), request: z.string() });
/** Tests devices with a real inference of the worker's engine, without a model. The answer is `devices`. */
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

/** One token of the text. `bytes` is its UTF-8, which may end within a character. */
export const tokenLogprob = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number().int().min(0).max(255)),
});
export type TokenLogprob = z.infer<typeof tokenLogprob>;

/**
 * `text` keeps the leading space that separates it from the previous segment. A number that the engine does not have is
 * 0, and its key is listed in `capabilities.neutral` of `loaded`.
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
  /** null: not requested. */
  words: z.array(word).nullable(),
  /** null: not requested. */
  logprobs: z.array(tokenLogprob).nullable(),
});
export type Segment = z.infer<typeof segment>;

/** What the engine can do with the loaded model. Before a load, the gateway uses engine-table.ts. */
export const capabilities = z.object({
  tasks: z.array(z.enum(['transcribe', 'translate'])),
  word_timestamps: z.boolean(),
  logprobs: z.boolean(),
  prompt: z.boolean(),
  temperature: z.boolean(),
  hotwords: z.boolean(),
  detects_language: z.boolean(),
  /** Segment keys that are always 0 or [], because the engine has no such value. */
  neutral: z.array(z.string()),
});

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
  /** The device in use, which may differ from the requested one; so may the compute type. */
  device: z.string(),
  compute_type: z.string(),
  threads: z.number().int(),
  /** How many jobs this worker runs concurrently. */
  concurrency: z.number().int().positive(),
  languages: z.array(z.string()),
  capabilities,
  /** Resident memory of the worker after the warm-up. */
  memory_bytes: z.number().int(),
  /** Time of import, weights and warm-up together. */
  seconds: z.number(),
});
export type Loaded = z.infer<typeof loaded>;

/** The beginning of the audio is decoded. `duration` is null for more than 30 s, of which the rest may still be decoded. */
export const started = z.object({ type: z.literal('started'), job: z.string(), duration: z.number().nullable() });
/** Position in seconds of audio. Extends the job's timeout when no segment comes. */
export const progress = z.object({ type: z.literal('progress'), job: z.string(), position: z.number() });
export const segmentReady = z.object({ type: z.literal('segment'), job: z.string(), segment });

export const result = z.object({
  type: z.literal('result'),
  job: z.string(),
  /** ISO-639-1; null: the engine does not report it. */
  language: z.string().nullable(),
  language_probability: z.number().nullable(),
  /** Length of the decoded audio in seconds. */
  duration: z.number(),
  /** How many damaged packets were skipped during decoding. */
  skipped_packets: z.number().int().nonnegative(),
  /** Seconds per stage (`decode`, `features`, `engine` …), for tracing. */
  timings: z.record(z.string(), z.number()),
});
export type JobResult = z.infer<typeof result>;

/** `code` is one of errors.ts; the gateway turns any other into `internal_error`. */
export const failure = z.object({
  type: z.literal('error'),
  /** The id of a job, or of a `load`, `unload` or `probe` request. */
  subject: z.string(),
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
});

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
  /** How many replicas fit on it; `replicas` counts those that run there. */
  slots: z.number(),
  replicas: z.number(),
  models: z.array(z.string()),
});
export type ClusterNode = z.infer<typeof clusterNode>;
/** From a worker on a cluster: sent when it has connected, and whenever something changes. */
export const cluster = z.object({
  type: z.literal('cluster'),
  reachable: z.boolean(),
  /** Why it is unreachable, as one sentence. */
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
