import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createHome } from '../setup/create-home.ts';
import { runCli } from '../setup/run-cli.ts';

/** A machine of a cluster. All of them are on this machine, each with an ASRPRO_HOME and ports of its own. */
export interface Machine {
  home: string;
  /** Address of the head. */
  address: string;
  /** The processes of its node, as `pid name`. */
  processes(): string[];
  /** Kills all of them, or those of one program. */
  kill(program?: string): void;
  /** Starts the node again, with the same ports. */
  start(): Promise<void>;
  leave(): Promise<void>;
}

/** @param head null starts the head. @param first first port; a node uses about sixty. */
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
      // A process may have started another one just before it was killed.
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
    // It has ended already.
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
