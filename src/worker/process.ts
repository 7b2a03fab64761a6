import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { execa } from 'execa';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ModelEngine } from '../models/model.ts';
import { type Bootstrap, PROTOCOL } from '../wire/messages.ts';
import { openRouterLink } from '../wire/router-link.ts';
import type { RunDirectory } from '../wire/run-directory.ts';
import { type ExitReport, oomKills, speaksOfMemory } from './exit.ts';
import type { StartWorker, WorkerHandle } from './handle.ts';
import { residentBytes } from './memory.ts';
import { drainOutput } from './output.ts';

export interface ProcessOptions {
  log: Log;
  run: RunDirectory;
  /** Folder that holds `src/asrpro_worker`. */
  runtimeRoot: string;
  /** Interpreter and environment for an engine; throws `engine_not_installed`. */
  interpreter(engine: ModelEngine): Promise<{ python: string; env: Record<string, string> }>;
}

/**
 * glibc's allocator for the worker: one arena, and freed memory is kept instead of returned and fetched again. Measured
 * on 2 cores with whisper-base: 17 to 20 % less CPU for the same text, 36 MB more at the peak, which ends with the
 * process.
 */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '1073741824',
  MALLOC_TRIM_THRESHOLD_: '2147483648',
  MALLOC_TOP_PAD_: '67108864',
};

/** Streams that a grandchild still holds are let go so long after the exit, in milliseconds. */
const STREAM_GRACE_MS = 1000;

/** Starts Python workers, each in a process group of its own, so that Ctrl-C does not reach them and a kill reaches all. */
export function createProcessStarter({ log, run, runtimeRoot, interpreter }: ProcessOptions): StartWorker {
  return async (engine, generation) => {
    const { python, env } = await interpreter(engine);
    const token = randomBytes(16).toString('hex');
    const identity = `worker-${generation}-${randomBytes(4).toString('hex')}`;
    const link = await openRouterLink(run.socketAddress(`${generation}.sock`), identity);
    const before = oomKills();

    const child = execa(python, ['-s', '-m', 'asrpro_worker'], {
      cwd: run.path,
      env: {
        ...ALLOCATOR,
        ...env,
        PYTHONPATH: path.join(runtimeRoot, 'src'),
        PYTHONUNBUFFERED: '1',
        PYTHONIOENCODING: 'utf-8',
        HF_HUB_OFFLINE: '1',
        TMPDIR: run.temporary,
      },
      detached: true,
      cleanup: false,
      buffer: false,
      reject: false,
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    // Where it could not be spawned, `exit` never comes; execa's result does.
    const failedToSpawn = child.then((result) => (child.pid === undefined ? result : null));
    child.stdin.on('error', () => undefined);
    const output = drainOutput([child.stdout, child.stderr], log.child({ worker: generation }));

    const killGroup = (signal: NodeJS.Signals): void => {
      if (child.pid === undefined) return;
      if (process.platform === 'win32') {
        void execa('taskkill', ['/pid', String(child.pid), '/T', '/F'], { reject: false });
        return;
      }
      try {
        process.kill(-child.pid, signal);
      } catch {
        // The group is gone: what was wanted.
      }
    };
    const atExit = (): void => killGroup('SIGKILL');
    process.once('exit', atExit);

    const exited = new Promise<Omit<ExitReport, 'expected'>>((resolve) => {
      child.once('exit', (code, signal) => {
        process.removeListener('exit', atExit);
        // Grandchildren must not outlive the worker.
        killGroup('SIGKILL');
        link.close();
        setTimeout(() => {
          for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
        }, STREAM_GRACE_MS).unref();
        const lastWords = output.lastWords();
        const killedForMemory = signal === 'SIGKILL' && oomKills() > before;
        resolve({ code, signal, lastWords, outOfMemory: killedForMemory || speaksOfMemory(lastWords) });
      });
    });

    if (child.pid === undefined) {
      process.removeListener('exit', atExit);
      link.close();
      const result = await failedToSpawn;
      throw new AsrproError('worker_start_failed', 'The Python interpreter of the engine could not be started.', {
        hint: 'Install the engine again with `asrpro setup`.',
        cause: result,
      });
    }

    const bootstrap: Bootstrap = {
      protocol: PROTOCOL,
      endpoint: link.endpoint,
      token,
      generation,
      identity,
      engine,
      log_level: log.level,
      parent_pid: process.pid,
      curve: link.curve,
    };
    child.stdin.write(`${JSON.stringify(bootstrap)}\n`);

    const handle: WorkerHandle = {
      pid: child.pid,
      link,
      token,
      exited,
      signal: killGroup,
      memoryBytes: () => residentBytes(child.pid ?? null),
    };
    return handle;
  };
}
