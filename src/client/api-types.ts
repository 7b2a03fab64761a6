// Generated from the schemas of the API by `npm run schema`.

export type ErrorAnswer = {
  error: {
    /** What is wrong and what to do, for people. */
    message: string;
    type: 'invalid_request_error' | 'service_unavailable_error' | 'server_error';
    /** The field that is at fault. */
    param: string | null;
    /** For programs; all codes are in docs/errors.md. */
    code: string | null;
  };
};

export type VerboseTranscript = {
  task: 'transcribe' | 'translate';
  /** Lower-case English name; `unknown` where neither request nor model says. */
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

/** Numbers that an engine does not have are 0 (docs/openai.md). */
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

/** Joined, the deltas are the text of `done`. */
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
  /** The one in force. */
  device: string | null;
  compute_type: string | null;
  memory_bytes: number | null;
  load_seconds: number | null;
};

export type LoadReport = {
  status: 'success';
  model: string;
  /** The one in force. */
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
    /** Memory that the end of the worker, and of what it had started, gives back: pages that they have written, not those of files. Where there is no /proc: its resident size after the load. */
    before_bytes: number;
    /** The part of it that none of those processes holds any more. */
    returned_bytes: number;
    worker_exited: true;
    exit_seconds: number;
    /** What the machine can give to programs; Linux only. */
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
    /** Version by package. */
    packages: Record<string, string>;
    size_bytes: number;
    /** Why it cannot be used, with the remedy. */
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
    /** Outcome of a real inference, by engine. */
    engines: Record<string, {
      usable: boolean;
      compute_types: string[];
      reason: string | null;
    }>;
  }[];
  /** Device that a load takes, by engine: the best usable one that `device.prefer` allows, else the CPU. */
  selected: Record<string, string>;
};

export type Health = {
  /** degraded: the last worker crashed or does not end, no model can be loaded, or the cluster is out of reach. */
  status: 'healthy' | 'degraded';
  current_model: string | null;
  /** In force; without a loaded model the one chosen last, at first the CPU. */
  device: 'cuda' | 'mps' | 'cpu';
  version: string;
  uptime_seconds: number;
  worker: {
    state: 'stopped' | 'starting' | 'ready' | 'stopping' | 'crashed' | 'failed';
    pid: number | null;
    /** Number of this worker, of the last one where none lives; each start counts one up. */
    generation: number;
    restarts: number;
    /** What its end would give back; resident size where there is no /proc. */
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
    /** Why it is out of reach. */
    reason: string | null;
    /** Machines that live; null while nothing is loaded. */
    nodes: number | null;
    /** Copies of models that run on them; null while nothing is loaded. */
    replicas: number | null;
  } | null;
};
