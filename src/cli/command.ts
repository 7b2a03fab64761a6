import type { ParseArgsOptionsConfig } from 'node:util';
import type { Services } from '../app.ts';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Log } from '../log.ts';

/** Where a command writes and how. Results go to `out`; progress and everything else goes to `err`. */
export interface Terminal {
  out: NodeJS.WritableStream;
  err: NodeJS.WritableStream;
  /** `err` is a terminal and neither --quiet nor CI-like settings forbid moving bars. */
  animated: boolean;
  /** Colours allowed on `err`. */
  colour: boolean;
  /** --quiet: no progress, only errors. */
  quiet: boolean;
  /** --json: results as JSON. */
  json: boolean;
  /** stdin is a terminal: questions may be asked. */
  interactive: boolean;
}

export interface CommandContext {
  config: Config;
  paths: Paths;
  log: Log;
  terminal: Terminal;
  positionals: string[];
  /** Parsed values of the command's own options. */
  flags: Record<string, string | boolean | (string | boolean)[] | undefined>;
  environment: NodeJS.ProcessEnv;
  /** Aborts at the first SIGINT or SIGTERM, or when the launcher died; the second signal ends the process at once. */
  signal: AbortSignal;
  /** The rooms of the program, built on first use and closed after the command. */
  services(): Promise<Services>;
}

/** One file a command. Errors are thrown as AsrproError; main.ts turns them into text and exit code. */
export interface Command {
  name: string;
  /** For the list of commands. */
  summary: string;
  /** After `asrpro `, for example `pull ID [--verify]`. */
  usage: string;
  /**
   * Runs until it is stopped, for a program that watches it: logs from `info` on, and tells why it failed as one JSON
   * line on stdout (`{"event":"error",…}`), which the command line does for it.
   */
  longRunning?: boolean;
  /** Runs although the configuration is invalid, with the defaults in its place. */
  withoutConfig?: boolean;
  /** Its own options; --config, --json, --quiet, --help and --log-level are common to all. */
  options: ParseArgsOptionsConfig &
    Record<string, { /** Key of the configuration that the flag sets. */ config?: string; description: string }>;
  run(context: CommandContext): Promise<void>;
}
