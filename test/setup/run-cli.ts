import { execa } from 'execa';
import { mainProgram } from './checkout.ts';

export interface CliResult {
  code: number | undefined;
  out: string;
  err: string;
}

/** Runs `asrpro ARGS` and waits for its exit. */
export async function runCli(home: string, args: string[], environment: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  const { exitCode, stdout, stderr } = await execa(process.execPath, [mainProgram, ...args], {
    env: { ...environment, ASRPRO_HOME: home },
    reject: false,
    stdin: 'ignore',
  });
  return { code: exitCode, out: stdout, err: stderr };
}
