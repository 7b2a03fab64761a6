import type { Terminal } from './command.ts';

/** Describes what the standard streams and the environment allow. */
export function createTerminal(flags: { quiet: boolean; json: boolean }, environment: NodeJS.ProcessEnv): Terminal {
  const { stdin, stdout, stderr } = process;
  const moving = stderr.isTTY && environment.TERM !== 'dumb' && !environment.CI;
  return {
    out: stdout,
    err: stderr,
    animated: moving && !flags.quiet,
    // https://no-color.org: any non-empty value switches colours off.
    colour: stderr.isTTY && !environment.NO_COLOR && environment.TERM !== 'dumb',
    quiet: flags.quiet,
    json: flags.json,
    interactive: stdin.isTTY && stderr.isTTY,
  };
}
