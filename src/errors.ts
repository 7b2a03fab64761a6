/**
 * The error catalogue. Every error that a client sees is one of these. Clients match on the keys (`error.code`), so a key
 * never changes. A test compares `docs/errors.md` with this table in both directions.
 */

/** The subset of OpenAI's error types that asrpro uses. */
export type ErrorType = 'invalid_request_error' | 'service_unavailable_error' | 'server_error';

export interface ErrorKind {
  /** HTTP status. Never 408, 409, 422 or 3xx, because the SDKs repeat the whole upload on 408 and 409. */
  readonly status: number;
  readonly type: ErrorType;
  /** null if OpenAI sends null as `error.code`; absent if the key itself is sent. */
  readonly code?: null;
  /** Whether the same request may succeed later. If not, the response has `x-should-retry: false`. */
  readonly retryable: boolean;
  /** Exit code of the command line; 1 if absent. */
  readonly exitCode?: 2 | 3 | 4 | 5;
  /** One sentence for docs/errors.md: when the error occurs and what to do. */
  readonly meaning: string;
}

const bad = (meaning: string, more: Partial<ErrorKind> = {}): ErrorKind => ({
  status: 400,
  type: 'invalid_request_error',
  retryable: false,
  meaning,
  ...more,
});
const busy = (meaning: string): ErrorKind => ({
  status: 503,
  type: 'service_unavailable_error',
  retryable: true,
  meaning,
});
const broken = (meaning: string, more: Partial<ErrorKind> = {}): ErrorKind => ({
  status: 500,
  type: 'server_error',
  retryable: false,
  meaning,
  ...more,
});

export const errorKinds = {
  // The request
  missing_required_parameter: bad('A required field is missing; `param` names it.'),
  invalid_value: bad('A field has a value that is not allowed; the message lists the allowed values.'),
  invalid_type: bad('A field has the wrong type, for example text instead of a file.'),
  unsupported_value: bad('The value is valid, but this server or the chosen model does not support it.'),
  invalid_language_format: bad('`language` is not an ISO-639-1 code.'),
  unsupported_language: bad('The chosen model does not know this language; choose a multilingual model.'),
  invalid_file_format: bad('The file contains no audio that can be decoded.'),
  audio_too_short: bad('The audio is shorter than 0.1 s.'),
  audio_too_long: bad('The audio is longer than 12 hours; split it.'),
  invalid_multipart: bad('The multipart body has no boundary, ends too early or is malformed.', { code: null }),
  invalid_body: bad('The JSON body is malformed or has the wrong shape.'),
  unsupported_content_type: bad('The call does not accept this content type.'),
  missing_api_key: bad('An API key is configured and the request has none.', { status: 401, code: null }),
  invalid_api_key: bad('The API key is wrong.', { status: 401 }),
  forbidden_host: bad('The `Host` header is neither a loopback name nor in `server.allowedHosts`.', { status: 403 }),
  forbidden_origin: bad('The request comes from a web page whose origin is not in `server.allowedOrigins`.', {
    status: 403,
  }),
  unknown_url: bad('The path does not exist.', { status: 404 }),
  method_not_allowed: bad('The path does not have this method; the `Allow` header lists its methods.', {
    status: 405,
    code: null,
  }),
  file_too_large: bad('The upload is larger than `server.maxUploadBytes`.', { status: 413 }),
  client_closed: bad('The client disconnected before the answer; it appears in the log only.', { status: 499 }),

  // Models
  model_not_found: bad('The model does not exist or is not downloaded; the message says how to get it.', {
    status: 404,
    exitCode: 5,
  }),
  model_not_ready: bad('The model is incomplete or cannot be used; the message says why and what to do.', {
    exitCode: 5,
  }),
  model_not_deletable: bad("The model's files belong to the user or to another program."),
  model_broken: broken('A file of the model is damaged or missing; verify or download the model again.', {
    exitCode: 5,
  }),
  model_load_failed: broken('The model could not be loaded; the message gives the reason.', { exitCode: 5 }),

  // Downloads
  download_not_found: bad('There is no download job for this model.', { status: 404 }),
  download_failed: broken('The download failed; the message names the file, the cause and whether to retry.'),
  download_offline: broken('Downloads are disabled by `download.offline` or HF_HUB_OFFLINE.'),
  download_cancelled: broken('The download was cancelled.'),
  hub_unreachable: broken('The model hub cannot be reached; check the network, the proxy and `download.endpoint`.', {
    retryable: true,
  }),
  hub_not_found: broken('The repository, revision or file does not exist on the hub, or needs a token.'),
  hub_gated: broken("Accept the model's terms on its page, and set a token."),
  hub_forbidden: broken('The token has no access to this repository.'),
  hub_untrusted: broken("The hub's certificate is not trusted; the message says why and what to set."),
  proxy_failed: broken('The proxy from the environment cannot be used; the message names it and the reason.'),
  hub_rate_limited: broken('The hub limits the rate of requests; retry later.', { retryable: true }),
  checksum_mismatch: broken('A file had the wrong size or hash and was removed; retry.', { retryable: true }),
  disk_full: broken('The disk has too little free space; the message says how much is needed and free.'),
  folder_unusable: broken(
    'A folder of asrpro cannot be read or written; the message names it, the cause and the remedy.',
  ),
  spool_failed: broken("The upload cannot be written to disk; the message has the system's code, the log the path."),

  // Engines
  engine_not_found: bad('The engine environment does not exist; `GET /v1/engines` lists them.', { status: 404 }),
  engine_not_installed: bad('The engine environment that this model needs is not installed.', { exitCode: 4 }),
  engine_unsupported: bad(
    'The engine environment is not available for this system; the message names the systems that have it.',
    {
      exitCode: 4,
    },
  ),
  engine_broken: broken('The engine environment is damaged; install it again.', { exitCode: 4 }),
  engine_install_failed: broken('The engine environment could not be installed; the message has the last output.', {
    exitCode: 4,
  }),
  engine_install_cancelled: broken('The installation was cancelled.', { exitCode: 4 }),
  install_not_found: bad('There is no installation job for this engine.', { status: 404 }),
  python_not_found: broken(
    'No usable Python was found, and none could be downloaded; install Python 3.10 or newer, or set `worker.python`.',
    {
      exitCode: 4,
    },
  ),
  python_too_old: broken('The installed Python is too old; 3.10 or newer is needed.', { exitCode: 4 }),
  device_unavailable: broken('The device or compute type of the load cannot be used; the message says why.'),

  // The worker
  queue_full: busy('`server.maxQueue` requests are already waiting.'),
  queue_timeout: busy('The request waited for `server.queueSeconds` without being started.'),
  model_busy: busy('A model is being loaded or unloaded, or the files of this model are being downloaded or repaired.'),
  shutting_down: busy('The server is stopping.'),
  model_unloaded: {
    ...busy('The model was unloaded on request, and this job had not finished within the drain limit.'),
    retryable: false,
  },
  worker_start_failed: broken('The worker process could not start; the message has its last output.'),
  worker_crashed: broken('The worker process died during the request; the next request starts a new one.'),
  worker_unresponsive: broken('The engine made no progress within its time limit, and its process was ended.'),
  out_of_memory: broken('The worker ran out of memory; choose a smaller model or compute type.'),
  worker_stuck: busy('The worker was killed, but the system keeps its process and its memory.'),
  cluster_unreachable: busy('The head of the cluster (`cluster.address`) does not answer, or refuses the token.'),
  cluster_full: busy('The cluster has no free slot for a replica of the model, or no machines.'),
  cancelled: bad('The request was cancelled.', { status: 499 }),
  internal_error: broken('A bug in asrpro; the log has the details under the request id.'),

  // The command line
  usage: bad('The command line is wrong.', { exitCode: 2 }),
  invalid_config: bad('The configuration is invalid; the message names the key, its source and the allowed values.', {
    exitCode: 2,
  }),
  address_in_use: broken('Another program is listening on the address; choose another port.', { exitCode: 3 }),
  address_unavailable: broken('asrpro cannot listen on the address.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

export interface ErrorDetails {
  /** The invalid request field (without `[]`), configuration key or flag. */
  param?: string;
  /** What to do, as one sentence. API answers and the command line append it to the message. */
  hint?: string;
  /** For 503; rounded up and limited to 1 to 60. */
  retryAfterSeconds?: number;
  cause?: unknown;
}

/** Clients ignore a Retry-After above 60 s, or sleep through all of it. */
const MAX_RETRY_AFTER_SECONDS = 60;

/**
 * The only error that clients see. `message` says what is wrong, `hint` what to do. API answers never contain a path of the
 * server, a stack trace or a secret.
 */
export class AsrproError extends Error {
  override readonly name = 'AsrproError';
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly hint: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.param = details.param ?? null;
    this.hint = details.hint ?? null;
    const seconds = details.retryAfterSeconds;
    this.retryAfterSeconds =
      seconds === undefined ? null : Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(seconds)));
  }

  get kind(): ErrorKind {
    return errorKinds[this.code];
  }
}

/** Turns anything thrown into an AsrproError. Any other error becomes the cause of an `internal_error`, for the log. */
export function asAsrproError(error: unknown): AsrproError {
  if (error instanceof AsrproError) return error;
  return new AsrproError('internal_error', 'Something went wrong inside asrpro; the log has the details.', {
    cause: error,
  });
}

/** The message is OpenAI's, because clients match on it. The Python worker has the same one in audio.py. */
export function invalidFileFormat(detail?: string): AsrproError {
  const formats = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']";
  const message = `Invalid file format. Supported formats: ${formats}${detail === undefined ? '' : `. ${detail}`}`;
  return new AsrproError('invalid_file_format', message, { param: 'file' });
}
