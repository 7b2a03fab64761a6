// Generated from the schemas of the API by `npm run schema`.

export type ErrorAnswer = {
  error: {
    /** For people: what is wrong and what to do. */
    message: string;
    type: 'invalid_request_error' | 'service_unavailable_error' | 'server_error';
    /** The invalid field. */
    param: string | null;
    /** For programs; docs/errors.md lists all codes. */
    code: string | null;
  };
};

export type VerboseTranscript = {
  task: 'transcribe' | 'translate';
  /** Lower-case English name; `unknown` if neither the request nor the model gives it. */
  language: string;
  /** Seconds. */
  duration: number;
  text: string;
  words?: Word[];
  segments?: Segment[];
  usage?: {
    type: 'duration';
    /** Rounded up. */
    seconds: number;
  };
};

export type Word = {
  word: string;
  start: number;
  end: number;
};

/** A number that the engine does not provide is 0 (docs/openai.md). */
export type Segment = {
  id: number;
  /** Start of the decoded window, in frames of 10 ms. */
  seek: number;
  /** Seconds. */
  start: number;
  /** Seconds. */
  end: number;
  text: string;
  tokens: number[];
  temperature: number;
  avg_logprob: number;
  compression_ratio: number;
  no_speech_prob: number;
};

export type Transcript = {
  text: string;
  logprobs?: {
    token: string;
    logprob: number;
    bytes: number[];
  }[];
  usage: {
    type: 'duration';
    /** Rounded up. */
    seconds: number;
  };
};

/** The deltas, joined, are the text of `done`. */
export type StreamEvent = {
  type: 'transcript.text.delta';
  delta: string;
  logprobs?: {
    token: string;
    logprob: number;
    bytes: number[];
  }[];
} | {
  type: 'transcript.text.done';
  text: string;
  logprobs?: {
    token: string;
    logprob: number;
    bytes: number[];
  }[];
  usage: {
    type: 'duration';
    /** Rounded up. */
    seconds: number;
  };
};

export type Translation = {
  text: string;
};

export type ModelList = {
  object: 'list';
  data: Model[];
};

export type Model = {
  id: string;
  object: 'model';
  /** Unix seconds. */
  created: number;
  owned_by: 'asrpro';
  /** The model can be used now. */
  ready: boolean;
  name: string;
  description: string;
  engine: string;
  size_bytes: number | null;
  /** ISO-639-1 codes; empty when unknown. */
  languages: string[];
  license: string | null;
  tasks: string[];
  downloaded: boolean;
  loaded: boolean;
  source: string;
  /** Why the model is not ready, with the remedy. */
  reason: string | null;
};

export type Download = {
  model: string;
  status: 'queued' | 'downloading' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  bytes_done: number;
  bytes_total: number | null;
  bytes_per_second: number | null;
  seconds_left: number | null;
  file: string | null;
  source: string | null;
  error: JobFailure | null;
};

export type JobFailure = {
  code: string;
  message: string;
  retryable: boolean;
};

export type LoadedModel = {
  model: string | null;
  status: 'loaded' | 'loading' | 'unloading' | 'none';
  /** Device that the model runs on. */
  device: string | null;
  compute_type: string | null;
  memory_bytes: number | null;
  load_seconds: number | null;
};

export type LoadReport = {
  status: 'success';
  model: string;
  /** Device that the model runs on. */
  device: string | null;
  compute_type: string | null;
  memory_bytes: number | null;
  load_seconds: number | null;
  previous: string | null;
};

export type UnloadReport = {
  status: 'success';
  model: null;
  unloaded: string | null;
  memory: {
    /** Memory that the worker and its child processes held before the unload: pages that they have written, without pages of files. Without /proc: the resident size of the worker after the load. */
    before_bytes: number;
    /** The part of it that none of these processes holds any more. */
    returned_bytes: number;
    worker_exited: true;
    exit_seconds: number;
    /** Memory that the machine has available; Linux only. */
    system_available_before_bytes: number | null;
    system_available_after_bytes: number | null;
    gpu_free_before_bytes: number | null;
    gpu_free_after_bytes: number | null;
  };
};

export type EngineList = {
  engines: {
    id: 'core' | 'nemo' | 'cluster';
    installed: boolean;
    python: string | null;
    /** Versions by package name. */
    packages: Record<string, string>;
    size_bytes: number;
    /** Why it cannot be used, and what to do. */
    reason: string | null;
  }[];
};

export type Installation = {
  engine: 'core' | 'nemo' | 'cluster';
  status: 'queued' | 'installing' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  step: string | null;
  packages_done: number;
  packages_total: number | null;
  error: JobFailure | null;
};

export type DeviceReport = {
  devices: {
    id: string;
    kind: 'cuda' | 'mps' | 'cpu';
    name: string;
    memory_bytes: number | null;
    usable: boolean;
    reason: string | null;
    /** Result of a test inference, by engine. */
    engines: Record<string, {
      usable: boolean;
      compute_types: string[];
      reason: string | null;
    }>;
  }[];
  /** Device that a load uses, by engine: the best usable one that `device.prefer` allows, else the CPU. */
  selected: Record<string, string>;
};

export type Health = {
  /** degraded: the last worker crashed or cannot be ended, no model can be loaded, or the cluster is unreachable. */
  status: 'healthy' | 'degraded';
  current_model: string | null;
  /** Device of the loaded model; without one, the device of the last load, or the CPU before any load. */
  device: 'cuda' | 'mps' | 'cpu';
  version: string;
  uptime_seconds: number;
  worker: {
    state: 'stopped' | 'starting' | 'ready' | 'stopping' | 'crashed' | 'failed';
    pid: number | null;
    /** Number of the worker process, or of the last one if none runs. Each start increases it by one. */
    generation: number;
    restarts: number;
    /** Memory that its exit would return; null on systems without /proc. */
    memory_bytes: number | null;
    last_error: string | null;
  };
  queue: {
    running: number;
    waiting: number;
    limit: number;
  };
  /** The cluster of `cluster.address`; null: models run on this machine. */
  cluster: {
    /** null: not known yet. */
    reachable: boolean | null;
    /** Why it is unreachable. */
    reason: string | null;
    /** Running machines; null while no model is loaded. */
    nodes: number | null;
    /** Running copies of the model; null while no model is loaded. */
    replicas: number | null;
  } | null;
};
