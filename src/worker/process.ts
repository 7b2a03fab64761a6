import { randomBytes } from 'node:crypto';
import type { ModelEngine, WorkerEngine } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Bootstrap, PROTOCOL } from '../wire/messages.ts';
import type { RunDirectory } from '../wire/run-directory.ts';
import { type ExitReport, judgeExit, oomKills } from './exit.ts';
import type { StartWorker, WorkerHandle } from './handle.ts';
import { footprintOf, ownBytes } from './memory.ts';
import { drainOutput } from './output.ts';

export interface ProcessOptions {
  log: Log;
  run: RunDirectory;
  /** The program for the models of an engine. Throws `engine_not_installed`. */
  command(engine: ModelEngine): Promise<WorkerCommand>;
}

export interface WorkerCommand {
  file: string;
  args: readonly string[];
  /** All that it sees. */
  env: NodeJS.ProcessEnv;
  /** What the worker is started as; absent: the engine of the models. */
  engine?: WorkerEngine;
}

/** Streams that a grandchild still holds are let go so long after the exit, in milliseconds. */
const STREAM_GRACE_MS = 1000;

/** Starts worker processes, each in a process group of its own, so that Ctrl-C does not reach them and a kill reaches all. */
export function createProcessStarter({ log, run, command }: ProcessOptions): StartWorker {
  return async (engine, generation) => {
    const { file, args, env, engine: startedAs = engine } = await command(engine);
    // Not before a worker is wanted: a gateway without a model starts in half the time and memory.
    const [{ execa }, { openRouterLink }] = await Promise.all([import('execa'), import('../wire/router-link.ts')]);
    const token = randomBytes(16).toString('hex');
    const identity = `worker-${generation}-${randomBytes(4).toString('hex')}`;
    const link = await openRouterLink(run.socketAddress(`${identity}.sock`), identity);
    const child = execa(file, args, {
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
    // Where it could not be spawned, `exit` never comes; execa's result does.
    const failedToSpawn = child.then((result) => (child.pid === undefined ? result : null));
    child.stdin.on('error', () => undefined);
    const output = drainOutput([child.stdout, child.stderr], log.child({ worker: generation }));

    let signalled = false;
    let gone = false;
    /** Compared around what it is told to do, not since its start days ago. */
    let killsBefore = oomKills();

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
    const letGo = (): void => {
      link.close();
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    };

    const exited = new Promise<ExitReport>((resolve) => {
      child.once('exit', (code, signal) => {
        process.removeListener('exit', atExit);
        // Grandchildren must not outlive the worker. Never again after this: the number is free for others.
        killGroup('SIGKILL');
        gone = true;
        link.close();
        setTimeout(letGo, STREAM_GRACE_MS).unref();
        const facts = { code, signal, lastWords: output.lastWords() };
        resolve(judgeExit(facts, signalled, () => oomKills() > killsBefore));
      });
    });

    if (child.pid === undefined) {
      process.removeListener('exit', atExit);
      link.close();
      const result = await failedToSpawn;
      throw new AsrproError('worker_start_failed', 'The worker program could not be started.', {
        hint: 'Install the engine again with `asrpro setup --reinstall`.',
        cause: result,
      });
    }

    const bootstrap: Bootstrap = {
      protocol: PROTOCOL,
      endpoint: link.endpoint,
      token,
      generation,
      identity,
      engine: startedAs,
      log_level: log.level,
      parent_pid: process.pid,
      curve: link.curve,
    };
    child.stdin.write(`${JSON.stringify(bootstrap)}\n`);

    const { pid } = child;
    const handle: WorkerHandle = {
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
      signal(signal) {
        if (gone) return;
        signalled = true;
        killGroup(signal);
      },
      abandon() {
        child.unref();
        letGo();
      },
      memoryBytes: () => (gone ? null : ownBytes(pid)),
      footprint: () => footprintOf(pid),
    };
    return handle;
  };
}
