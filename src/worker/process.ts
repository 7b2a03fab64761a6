import { randomBytes } from 'node:crypto';
import { errnoWords } from '../disk-error.ts';
import type { ModelEngine, WorkerEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Bootstrap, PROTOCOL } from '../wire/messages.ts';
import type { RunDirectory } from '../wire/run-directory.ts';
import { type ExitReport, judgeExit, oomKills } from './exit.ts';
import type { StartWorker } from './handle.ts';
import { footprintOf, ownBytes } from './memory.ts';
import { drainOutput } from './output.ts';

export interface ProcessOptions {
  log: Log;
  run: RunDirectory;
  /** The command that starts a worker for the models of an engine. Throws `engine_not_installed`. */
  command(engine: ModelEngine): Promise<WorkerCommand>;
}

export interface WorkerCommand {
  file: string;
  args: readonly string[];
  /** The complete environment. */
  env: NodeJS.ProcessEnv;
  /** The engine that the worker starts as; absent: the engine of the models. */
  engine?: WorkerEngine;
}

/** How long after the exit the streams stay open, which a grandchild may hold, in milliseconds. */
const STREAM_GRACE_MS = 1000;

type Execa = typeof import('execa').execa;

/** Starts worker processes and opens the link to each. */
export function createProcessStarter({ log, run, command }: ProcessOptions): StartWorker {
  return async (engine, generation) => {
    const program = await command(engine);
    // Imported here, because a gateway without a loaded model starts in half the time and memory.
    const [{ execa }, { openRouterLink }] = await Promise.all([import('execa'), import('../wire/router-link.ts')]);
    const token = randomBytes(16).toString('hex');
    const identity = `worker-${generation}-${randomBytes(4).toString('hex')}`;
    const link = await openRouterLink(run.socketAddress(`${identity}.sock`), identity).catch((cause: unknown) => {
      const message = `The socket for the worker cannot be opened: ${errnoWords(cause)}.`;
      throw new AsrproError('worker_start_failed', message, { cause });
    });
    const child = spawn(execa, program, run);
    child.stdin.on('error', () => undefined);
    const output = drainOutput([child.stdout, child.stderr], log.child({ worker: generation }));
    const { pid } = child;
    if (pid === undefined) {
      link.close();
      // `exit` is not emitted when the spawn failed; execa's promise has the reason.
      throw notStarted(await child);
    }

    const group = processGroup(execa, pid);
    const release = (): void => {
      link.close();
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    };
    /** Counted since the last message and not since the start, which may be days ago. */
    let killsBefore = oomKills();
    const exited = new Promise<ExitReport>((resolve) => {
      child.once('exit', (code, signal) => {
        group.end();
        setTimeout(release, STREAM_GRACE_MS).unref();
        const facts = { code, signal, lastWords: output.lastWords() };
        resolve(judgeExit(facts, group.wasSignalled(), () => oomKills() > killsBefore));
      });
    });

    const bootstrap: Bootstrap = {
      protocol: PROTOCOL,
      endpoint: link.endpoint,
      token,
      generation,
      identity,
      engine: program.engine ?? engine,
      log_level: log.level,
      parent_pid: process.pid,
      curve: link.curve,
    };
    child.stdin.write(`${JSON.stringify(bootstrap)}\n`);

    return {
      pid,
      token,
      exited,
      link: {
        ...link,
        send(message) {
          killsBefore = oomKills();
          return link.send(message);
        },
      },
      signal: group.signal,
      abandon() {
        child.unref();
        release();
      },
      memoryBytes: () => (group.hasEnded() ? null : ownBytes(pid)),
      footprint: () => footprintOf(pid),
    };
  };
}

/** Detached, so that the worker leads a process group: Ctrl-C does not reach it, and a kill reaches its children. */
function spawn(execa: Execa, { file, args, env }: WorkerCommand, run: RunDirectory) {
  return execa(file, args, {
    cwd: run.path,
    env: { ...env, TMPDIR: run.temporary },
    extendEnv: false,
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

/** What to do when the system cannot run a program. Any other reason lies in the installed engine. */
const START_HINTS: Readonly<Record<string, string>> = {
  EAGAIN: 'Raise the limit of processes (`ulimit -u`).',
  EMFILE: 'Raise the limit of open files (`ulimit -n`).',
  ENFILE: 'Raise the limit of open files (`ulimit -n`).',
  ENOMEM: 'Close other programs.',
};

function notStarted(cause: { code?: string }): AsrproError {
  const why = cause.code === undefined ? '' : `: ${errnoWords(cause)}`;
  return new AsrproError('worker_start_failed', `The worker program could not be started${why}.`, {
    hint: START_HINTS[cause.code ?? ''] ?? 'Install the engine again with `asrpro setup --reinstall`.',
    cause,
  });
}

/** The worker and everything it started. It is killed when the gateway exits. */
function processGroup(execa: Execa, pid: number) {
  let signalled = false;
  let ended = false;
  const kill = (signal: NodeJS.Signals): void => {
    if (process.platform === 'win32') {
      void execa('taskkill', ['/pid', String(pid), '/T', '/F'], { reject: false });
      return;
    }
    try {
      process.kill(-pid, signal);
    } catch {
      // No process of the group is left.
    }
  };
  const killAtExit = (): void => kill('SIGKILL');
  process.once('exit', killAtExit);
  return {
    signal(signal: 'SIGTERM' | 'SIGKILL'): void {
      if (ended) return;
      signalled = true;
      kill(signal);
    },
    /** The worker has exited: kills its children. Sends no signal later, when the id may belong to another group. */
    end(): void {
      process.removeListener('exit', killAtExit);
      kill('SIGKILL');
      ended = true;
    },
    wasSignalled: () => signalled,
    hasEnded: () => ended,
  };
}
