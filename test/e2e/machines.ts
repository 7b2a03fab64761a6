import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createHome } from '../setup/create-home.ts';
import { runCli } from '../setup/run-cli.ts';

/** A machine of a cluster, which on this one is a home and ports of its own. */
export interface Machine {
  home: string;
  /** Of the head. */
  address: string;
  /** Those of its node, as `pid name`. */
  processes(): string[];
  /** All of them, or those of a program. */
  kill(program?: string): void;
  /** Joins again, with the same ports. */
  start(): Promise<void>;
  leave(): Promise<void>;
}

/** @param head null: it is the head. @param first port; a node has about twenty. */
export async function startMachine(head: Machine | null, first: number): Promise<Machine> {
  const home = createHome(true);
  const folder = path.join(home, 'cluster');
  if (head !== null) {
    mkdirSync(folder);
    copyFileSync(path.join(head.home, 'cluster', 'token'), path.join(folder, 'token'));
  }
  const ports = ['--port', String(first), '--worker-ports', `${first + 20}-${first + 60}`];
  const machine: Machine = {
    home,
    address: '',
    processes: () => processesOf(folder),
    kill(program = '') {
      const chosen = () => processesOf(folder).filter((line) => line.endsWith(program));
      // One may start another while it is being killed.
      for (let lines = chosen(); lines.length > 0; lines = chosen())
        for (const line of lines) killQuietly(Number.parseInt(line, 10));
    },
    async start() {
      const where = head === null ? ['--head'] : [head.address];
      machine.address = JSON.parse((await asrpro('start', ...where, ...ports, '--slots', '1', '--json')).out).address;
    },
    async leave() {
      await asrpro('stop');
      rmSync(home, { recursive: true });
    },
  };
  async function asrpro(...args: string[]) {
    const result = await runCli(home, ['cluster', ...args]);
    if (result.code !== 0) throw new Error(`asrpro cluster ${args.join(' ')}: ${result.err}`);
    return result;
  }
  await machine.start();
  return machine;
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile: what was wanted.
  }
}

function processesOf(folder: string): string[] {
  const mark = `ASRPRO_CLUSTER_NODE=${folder}`;
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)) return [];
      const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const module = args[args.indexOf('-m') + 1];
      return [`${pid} ${args.includes('-m') ? module : path.basename(program).split(' ')[0]}`];
    } catch {
      return [];
    }
  });
}
