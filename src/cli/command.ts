import type { ParseArgsOptionsConfig } from 'node:util';
import type { Services } from '../app.ts';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Log } from '../log.ts';

/** Where and how a command writes. Results go to `out`, everything else to `err`. */
export interface Terminal {
  out: NodeJS.WritableStream;
  err: NodeJS.WritableStream;
  /** Progress bars may move: `err` is a terminal, and neither --quiet nor CI forbids them. */
  animated: boolean;
  /** `err` may have colours. */
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
  /** Parsed values of all flags. */
  flags: Record<string, string | boolean | (string | boolean)[] | undefined>;
  environment: NodeJS.ProcessEnv;
  /** Aborts at the first SIGINT or SIGTERM, or when the launcher dies. The second signal ends the process at once. */
  signal: AbortSignal;
  /** The services of the program, built on first use and closed after the command. */
  services(): Promise<Services>;
}

/** A command; each has its own file. Errors are thrown as AsrproError; run.ts turns them into text and exit code. */
export interface Command {
  name: string;
  /** Shown in the list of commands. */
  summary: string;
  /** Follows `asrpro `, for example `pull ID [--verify]`. */
  usage: string;
  /** How many arguments it takes at most; absent: it checks them itself. More are an error, not ignored. */
  maxArguments?: number;
  /**
   * The command runs until it is stopped, under the control of another program. It logs from level `info`, and run.ts
   * reports a failure as one JSON line on stdout (`{"event":"error",…}`).
   */
  longRunning?: boolean;
  /** The command runs with the default configuration, even if the configured one is invalid. */
  withoutConfig?: boolean;
  /** The command's own flags. --config, --json, --quiet, --help and --log-level are common to all commands. */
  options: ParseArgsOptionsConfig &
    Record<string, { /** The configuration key that the flag overrides. */ config?: string; description: string }>;
  run(context: CommandContext): Promise<void>;
}
