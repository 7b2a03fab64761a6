import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { sharedHome } from '../../test/setup/shared-home.ts';
import type { Contender } from '../contenders/contender.ts';
import { overHttp } from '../contenders/over-http.ts';

const VERSION = '0.112.0';
const START_LIMIT_MS = 120_000;

/** Installs the peer, `agent-cli server whisper`, in its own environment. Returns the path of the program. */
export async function installAgentCli(python: string): Promise<string> {
  const folder = path.join(sharedHome, 'peers', `agent-cli-${VERSION}`);
  const complete = path.join(folder, 'complete');
  if (!existsSync(complete)) {
    rmSync(folder, { recursive: true, force: true });
    await execa(python, ['-m', 'venv', folder]);
    const pip = path.join(folder, 'bin', 'pip');
    await execa(pip, ['install', '--quiet', `agent-cli[faster-whisper,wyoming]==${VERSION}`]);
    writeFileSync(complete, '');
  }
  return path.join(folder, 'bin', 'agent-cli');
}

export interface Peer extends Contender {
  url: string;
  /** Seconds from the start of the server to its first answer. */
  startSeconds: number;
}

/** Starts the server as its users do, with the model from a folder and the number format of the other contenders. */
export async function startAgentCli(program: string, model: string, preload: boolean): Promise<Peer> {
  const port = await freePort();
  const args = ['server', 'whisper', '--model', model, '--default-model', model, '--device', 'cpu'];
  args.push('--compute-type', 'int8', '--ttl', '0', '--no-wyoming', '--host', '127.0.0.1', '--port', String(port));
  const begin = performance.now();
  const child = spawn(program, preload ? [...args, '--preload'] : args, {
    stdio: 'ignore',
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
    detached: true,
  });
  const url = `http://127.0.0.1:${port}`;
  while (!(await isUp(url))) {
    if (child.exitCode !== null) throw new Error(`agent-cli ended with ${child.exitCode}`);
    if (performance.now() - begin > START_LIMIT_MS) throw new Error('agent-cli did not start');
    await sleep(10);
  }
  const startSeconds = (performance.now() - begin) / 1000;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    // It leaves the process that holds its model behind, which would disturb all later measurements.
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // Without a loaded model there is no such process.
    }
  };
  return { ...overHttp('agent-cli', url, child.pid!, model, stop), url, startSeconds };
}

async function isUp(url: string): Promise<boolean> {
  return await fetch(`${url}/health`).then(
    (response) => response.ok,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
