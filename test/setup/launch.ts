import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { mainProgram } from './checkout.ts';
import { familyProcesses, familyVariable } from './leftovers.ts';

export interface LaunchOptions {
  /** ASRPRO_HOME. */
  home: string;
  /** Further flags of `serve`. */
  args?: string[];
  environment?: NodeJS.ProcessEnv;
  /** Use the built-in mock worker instead of Python. */
  mock?: boolean;
  /** Another command that runs `serve`, for example through npm. */
  command?: string[];
}

export interface Gateway {
  url: string;
  pid: number;
  home: string;
  process: ChildProcess;
  /** The ready line. */
  ready: Record<string, unknown>;
  /** Its output so far. */
  output: { out: string; err: string };
  /** The living processes of the gateway and its descendants, as `pid command line`. */
  processes(): string[];
  /** Sends the signal and waits for the exit and the end of the output. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts `asrpro serve` on a free port as an app does, and waits for its ready line. The caller stops the gateway. */
export async function launchGateway(options: LaunchOptions): Promise<Gateway> {
  const family = randomUUID();
  const [file, ...first] = options.command ?? [process.execPath, mainProgram, 'serve'];
  const args = [...first, '--port', '0', ...(options.mock ? ['--mock'] : []), ...(options.args ?? [])];
  const child = spawn(file!, args, {
    env: { ...process.env, ...options.environment, ASRPRO_HOME: options.home, [familyVariable]: family },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (output.out += chunk));
  child.stderr.on('data', (chunk) => (output.err += chunk));
  // At 'exit' the last output may still be in the pipe.
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));

  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
    ended.then(() => null),
  ]);
  const ready = line === null ? {} : JSON.parse(line);
  if (ready.event !== 'ready') throw new Error(`the gateway did not start: ${output.out}${output.err}`);
  return {
    url: ready.url,
    pid: ready.pid,
    home: options.home,
    process: child,
    ready,
    output,
    processes: () => familyProcesses(family),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return await ended;
    },
  };
}
