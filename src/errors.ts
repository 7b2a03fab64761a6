/**
 * The error catalogue. The keys are API: clients match on them (`error.code`), `docs/errors.md` is checked against this
 * table in both directions, and every error that leaves the process is one of these.
 */

/** OpenAI's error types that we use. */
export type ErrorType = 'invalid_request_error' | 'service_unavailable_error' | 'server_error';

export interface ErrorKind {
  /** HTTP status. Never 408, 409, 422 or 3xx: the SDKs repeat the whole upload on 408 and 409. */
  readonly status: number;
  readonly type: ErrorType;
  /** Wire value of `error.code` where OpenAI sends null; the key itself otherwise. */
  readonly code?: null;
  /** May the same request succeed later, unchanged? Where not, answers carry `x-should-retry: false`. */
  readonly retryable: boolean;
  /** Exit code of the command line; 1 when absent. */
  readonly exitCode?: 2 | 3 | 4 | 5;
  /** One sentence for docs/errors.md: when it happens and what to do. */
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
  missing_required_parameter: bad('A required field is absent; `param` names it.'),
  invalid_value: bad('A field has a value that is not allowed; the message lists what is.'),
  invalid_type: bad('A field has the wrong kind of value, for example text where a file is expected.'),
  unsupported_value: bad('The value is understood, but this server or the chosen model cannot do it.'),
  invalid_language_format: bad('`language` is not an ISO-639-1 code.'),
  unsupported_language: bad('The chosen model does not know this language; choose a multilingual model.'),
  invalid_file_format: bad('The file holds no audio that can be decoded.'),
  audio_too_short: bad('The audio is shorter than 0.1 s.'),
  audio_too_long: bad('The audio is longer than the server decodes; split it.'),
  invalid_multipart: bad('The multipart body cannot be parsed: no boundary, cut short, or malformed.', { code: null }),
  invalid_body: bad('The JSON body is malformed or has the wrong shape.'),
  unsupported_content_type: bad('The content type is not the one this call takes.'),
  missing_api_key: bad('An API key is configured and the request carries none.', { status: 401, code: null }),
  invalid_api_key: bad('The API key is wrong.', { status: 401 }),
  forbidden_host: bad('The `Host` header is neither a loopback name nor in `server.allowedHosts`.', { status: 403 }),
  forbidden_origin: bad('The request comes from a web page whose origin is not in `server.allowedOrigins`.', {
    status: 403,
  }),
  unknown_url: bad('No such path.', { status: 404 }),
  method_not_allowed: bad('The path exists, but not for this method; see `Allow`.', { status: 405, code: null }),
  file_too_large: bad('The upload is larger than `server.maxUploadBytes`.', { status: 413 }),
  client_closed: bad('The client went away before the answer; nobody receives this.', { status: 499 }),

  // Models
  model_not_found: bad('No such model, or it is not downloaded; the message says how to get it.', {
    status: 404,
    exitCode: 5,
  }),
  model_not_ready: bad('The model is incomplete or cannot be used; the message says why and what to do.', {
    exitCode: 5,
  }),
  model_not_deletable: bad("The model's files belong to the user or to another program."),
  model_broken: broken('The model cannot be loaded: a file is damaged or missing; verify or download it again.', {
    exitCode: 5,
  }),
  model_load_failed: broken('Loading the model failed; the message carries the reason.', { exitCode: 5 }),

  // Downloads
  download_not_found: bad('There is no download job for this model.', { status: 404 }),
  download_failed: broken('The download failed; the message names the file, the cause and whether to try again.'),
  download_offline: broken('Downloads are switched off (`download.offline` or HF_HUB_OFFLINE).'),
  download_cancelled: broken('The download was cancelled.'),
  hub_unreachable: broken('The model hub cannot be reached; check network, proxy and `download.endpoint`.', {
    retryable: true,
  }),
  hub_not_found: broken('The hub has no such repository, revision or file, or it needs a token.'),
  hub_gated: broken("The model's terms must be accepted on its page, and a token set."),
  hub_forbidden: broken('The token may not read this repository.'),
  hub_untrusted: broken("The hub's certificate is not trusted; the message says why and what to set."),
  proxy_failed: broken('The proxy of the environment cannot be used; the message names it and says why.'),
  hub_rate_limited: broken('The hub asks to wait; try again later.', { retryable: true }),
  checksum_mismatch: broken('A file has the wrong size or hash; it was removed, try again.', { retryable: true }),
  disk_full: broken('Not enough free disk space; the message says what is needed and what is free.'),
  folder_unusable: broken(
    'A folder of asrpro cannot be read or written; the message names it, the cause and the remedy.',
  ),
  spool_failed: broken("The upload cannot be written to disk; the message has the system's code, the log the path."),

  // Engines
  engine_not_found: bad('No such engine environment; `GET /v1/engines` lists them.', { status: 404 }),
  engine_not_installed: bad('The engine environment that this model needs is not installed.', { exitCode: 4 }),
  engine_unsupported: bad(
    'The engine environment does not exist for this system; the message says for which it does.',
    {
      exitCode: 4,
    },
  ),
  engine_broken: broken('The engine environment is damaged; install it again.', { exitCode: 4 }),
  engine_install_failed: broken('Installing the engine environment failed; the message carries the last output.', {
    exitCode: 4,
  }),
  engine_install_cancelled: broken('The installation was cancelled.', { exitCode: 4 }),
  install_not_found: bad('There is no installation job for this engine.', { status: 404 }),
  python_not_found: broken(
    'No usable Python was found, and none could be brought; install Python 3.10 or newer, or set `worker.python`.',
    {
      exitCode: 4,
    },
  ),
  python_too_old: broken('The Python that was found is too old; 3.10 or newer is needed.', { exitCode: 4 }),
  device_unavailable: broken('The device or compute type that a load needs cannot be used; the message says why.'),

  // The worker
  queue_full: busy('As many requests wait as `server.maxQueue` allows.'),
  queue_timeout: busy('The request waited `server.queueSeconds` for a load or a place and got none.'),
  model_busy: busy(
    'Another model is being loaded or unloaded, or the files of this one are being downloaded or repaired.',
  ),
  shutting_down: busy('The server is stopping.'),
  model_unloaded: {
    ...busy('The model was unloaded on request while this job ran longer than the drain limit.'),
    retryable: false,
  },
  worker_start_failed: broken('The worker process could not start; the message carries its last words.'),
  worker_crashed: broken('The worker process died during the request; the next request gets a fresh one.'),
  worker_unresponsive: broken('The engine made no progress in time and was ended.'),
  out_of_memory: broken('The worker ran out of memory; choose a smaller model or compute type.'),
  worker_stuck: busy('The worker was killed and does not end, because the system holds it; its memory is not free.'),
  cluster_unreachable: busy('The head of the cluster (`cluster.address`) does not answer, or refuses the token.'),
  cluster_full: busy('The cluster has no free slot for a replica of the model, or no machine at all.'),
  cancelled: bad('The request was cancelled.', { status: 499 }),
  internal_error: broken('A defect in this program; the log has the details under the request id.'),

  // The command line
  usage: bad('Wrong use of the command line.', { exitCode: 2 }),
  invalid_config: bad('The configuration is invalid; the message names key, source and what is allowed.', {
    exitCode: 2,
  }),
  address_in_use: broken('Another program listens on the address; choose another port.', { exitCode: 3 }),
  address_unavailable: broken('The address cannot be listened on.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

export interface ErrorDetails {
  /** The request field, configuration key or flag that is at fault, without `[]`. */
  param?: string;
  /** What the person can do, as one sentence; appended to the message by the command line and the ready line. */
  hint?: string;
  /** For 503: whole seconds, 1 to 60. */
  retryAfterSeconds?: number;
  cause?: unknown;
}

/**
 * The only error that clients see. `message` is one or two sentences for people: what is wrong and what to do. It never
 * holds a path of the server, a stack trace or a secret.
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
    this.retryAfterSeconds = details.retryAfterSeconds ?? null;
  }

  get kind(): ErrorKind {
    return errorKinds[this.code];
  }
}

/** Anything thrown, as one of ours; a foreign error becomes `internal_error` and is kept as the cause for the log. */
export function asAsrproError(error: unknown): AsrproError {
  if (error instanceof AsrproError) return error;
  return new AsrproError('internal_error', 'Something went wrong inside asrpro; the log has the details.', {
    cause: error,
  });
}
