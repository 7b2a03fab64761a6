import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, vi } from 'vitest';
import { nodeOf } from '../../packaging/target-node.ts';
import type { Target } from '../../packaging/targets.ts';
import { checkout } from '../setup/checkout.ts';
import { oneAtATime, sharedHome } from '../setup/shared-home.ts';

/** Exit code and output of a program on Windows. */
export interface Ended {
  code: number;
  out: string;
  err: string;
}

export interface Started extends Partial<Ended> {
  pid?: number;
  line?: string;
}

interface Command {
  file: string;
  args: string[];
  env?: Record<string, string>;
}

/** Where wine's fresh installation is kept: wine takes ten seconds to make one, and a copy takes one. */
const kept = path.join(sharedHome, 'wine');

/** A fresh installation of wine, and the programs that run in it. */
export class Wine {
  readonly folder: string = mkdtempSync(path.join(os.tmpdir(), 'asrpro wine ü '));
  readonly #target: Target;
  #apps: ChildProcess[] = [];

  constructor(target: Target) {
    this.#target = target;
  }

  get #environment(): NodeJS.ProcessEnv {
    return { ...inPrefix(path.join(this.folder, 'prefix')), NODE_SKIP_PLATFORM_CHECK: '1' };
  }

  async prepare(): Promise<void> {
    const { stdout: version } = await execa('wine', ['--version']);
    const fresh = path.join(kept, version.replace(/[^\w.-]+/g, '_'));
    await oneAtATime('wine', async () => {
      if (!existsSync(fresh)) await install(fresh);
    });
    await execa('cp', ['--archive', fresh, path.join(this.folder, 'prefix')]);
  }

  /** An app that runs on Windows; see fixtures/apps/windows-app.mjs. */
  async startApp(): Promise<WindowsApp> {
    // The output goes to a file because wine does not pass on pipes from outside.
    const output = path.join(this.folder, `app-${this.#apps.length}.txt`);
    const file = openSync(output, 'w');
    const script = path.join(checkout, 'test/fixtures/apps/windows-app.mjs');
    const app = spawn('wine', [await nodeOf(this.#target), script], {
      env: this.#environment,
      stdio: ['ignore', file, file],
    });
    this.#apps.push(app);
    const port = await vi.waitFor(() => readFileSync(output, 'utf8').match(/^\d+(?=\r?\n)/)![0], { timeout: 240_000 });
    return new WindowsApp(`http://127.0.0.1:${port}`, app);
  }

  newFolder(name: string): string {
    const folder = path.join(this.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await execa('wineserver', ['--kill'], { env: this.#environment, reject: false });
    await execa('wineserver', ['--wait'], { env: this.#environment, reject: false });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function inPrefix(prefix: string): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C.UTF-8', WINEDEBUG: '-all', WINEPREFIX: prefix };
}

/** Installs beside the final folder and renames, so that it is always complete. */
async function install(folder: string): Promise<void> {
  const building = `${folder}.building`;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(building, { recursive: true });
  await execa('wine', ['wineboot', '--init'], { env: inPrefix(building) });
  await execa('wineserver', ['--wait'], { env: inPrefix(building) });
  renameSync(building, folder);
}

export class WindowsApp {
  readonly #url: string;
  readonly #process: ChildProcess;

  constructor(url: string, process: ChildProcess) {
    this.#url = url;
    this.#process = process;
  }

  async #ask<Answer>(body: object): Promise<Answer> {
    const response = await fetch(this.#url, { method: 'POST', body: JSON.stringify(body) });
    return (await response.json()) as Answer;
  }

  run(command: Command): Promise<Ended> {
    return this.#ask({ action: 'run', ...command });
  }

  /** Starts a gateway and waits for its ready line. */
  async serve({ file, args, env }: Command): Promise<{ pid: number; url: string; ready: Record<string, unknown> }> {
    const started = await this.#ask<Started>({ action: 'start', file, args: ['serve', ...args], env });
    expect(started.line, JSON.stringify(started)).toContain('"event":"ready"');
    const ready = JSON.parse(started.line!);
    return { pid: started.pid!, url: ready.url, ready };
  }

  closeStdin(pid: number): Promise<Ended> {
    return this.#ask({ action: 'closeStdin', pid });
  }

  async die(): Promise<void> {
    await this.#ask({ action: 'die' }).catch(() => undefined);
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
  }
}

/** A path as Windows programs in wine see it. */
export function windowsPath(file: string): string {
  return `Z:${file.replaceAll('/', '\\')}`;
}
