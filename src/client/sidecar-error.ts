/**
 * An error of the sidecar, or of the connection to it. `code` is one of docs/errors.md, or `spawn_failed` (the program cannot
 * be started), `exited` (it has ended), `unreachable` (asrpro does not answer) or `aborted` (by the app's own signal).
 */
export class SidecarError extends Error {
  override readonly name = 'SidecarError';
  readonly code: string;
  /** HTTP status of the answer; null without an answer. */
  readonly status: number | null;
  /** What the user can do, as one sentence. */
  readonly hint: string | null;

  constructor(
    code: string,
    message: string,
    more: { status?: number; hint?: string | null | undefined; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.status = more.status ?? null;
    this.hint = more.hint ?? null;
  }
}
