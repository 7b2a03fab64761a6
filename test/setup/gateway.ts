import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, vi } from 'vitest';
import { mainProgram } from './checkout.ts';
import { temporaryHome } from './home.ts';
import { familyProcesses, familyVariable, runFiles } from './leftovers.ts';

export interface GatewayOptions {
  /** Further flags of `serve`. */
  args?: string[];
  environment?: NodeJS.ProcessEnv;
  /** ASRPRO_HOME; a fresh one when absent: with the shared engines and models, or empty with `mock`. */
  home?: string;
  /** The built-in fake worker instead of Python. */
  mock?: boolean;
  /** Another way to run `serve`, for example through npm. */
  command?: string[];
}

export interface Gateway {
  url: string;
  pid: number;
  home: string;
  process: ChildProcess;
  /** The ready line. */
  ready: Record<string, unknown>;
  /** All that it wrote so far. */
  output: { out: string; err: string };
  /** Of the gateway and of everything it started, as `pid command line`. */
  processes(): string[];
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * Starts `asrpro serve` on a free port, as an app would, and waits for its ready line. When the test has finished it is
 * stopped, and the test fails if a process or a file in the run directory is left behind.
 */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const home = options.home ?? temporaryHome({ installed: !options.mock });
  const family = randomUUID();
  const [file, ...first] = options.command ?? [process.execPath, mainProgram, 'serve'];
  const args = [...first, '--port', '0', ...(options.mock ? ['--mock'] : []), ...(options.args ?? [])];
  const child = spawn(file!, args, {
    env: { ...process.env, ...options.environment, ASRPRO_HOME: home, [familyVariable]: family },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (output.out += chunk));
  child.stderr.on('data', (chunk) => (output.err += chunk));
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const processes = () => familyProcesses(family);

  const stop: Gateway['stop'] = async (signal = 'SIGTERM') => {
    child.kill(signal);
    return await ended;
  };
  onTestFinished(async () => {
    await stop();
    await vi.waitFor(() => expect(processes(), 'processes left behind').toEqual([]), { timeout: 10_000 });
    expect(runFiles(home), 'files left behind').toEqual([]);
  });

  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
    ended.then(() => null),
  ]);
  const ready = line === null ? {} : JSON.parse(line);
  if (ready.event !== 'ready') throw new Error(`the gateway did not start: ${output.out}${output.err}`);
  return { url: ready.url, pid: ready.pid, home, process: child, ready, output, processes, stop };
}
