import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createHome } from '../setup/create-home.ts';
import { runCli } from '../setup/run-cli.ts';

/** A machine of a cluster. All of them are on this machine, each with an ASRPRO_HOME and ports of its own. */
export interface Machine {
  home: string;
  /** Address of the head. */
  address: string;
  /** The processes of its node, and all descendants of these, as `pid name`. */
  processes(): string[];
  /** The TCP ports on which they listen for other machines. */
  listening(): number[];
  /** Kills all of them, or those of one program. */
  kill(program?: string): void;
  /** Starts the node again, with the same ports. */
  start(): Promise<void>;
  /** Stops the node. Throws if a process is left that belonged to it before, with what the kernel knows about it. */
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
    listening: () => portsOf(processesOf(folder).map((line) => line.split(' ')[0]!)),
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
      const before = processesOf(folder);
      await asrpro('stop');
      const left = [...new Set([...before, ...processesOf(folder)])].filter(isAlive);
      if (left.length > 0) throw new Error(`Processes outlived the node:\n${left.map(stateOf).join('\n')}`);
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
  const children = new Map<string, string[]>();
  const marked: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = /^PPid:\t(\d+)$/m.exec(contents(pid, 'status'))?.[1] ?? '';
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    if (contents(pid, 'environ').split('\0').includes(mark)) marked.push(pid);
  }
  const found = new Set<string>();
  for (const pid of marked) {
    if (!found.has(pid)) marked.push(...(children.get(pid) ?? []));
    found.add(pid);
  }
  return [...found].flatMap((pid) => {
    const name = nameOf(pid);
    return name === '' ? [] : [`${pid} ${name}`];
  });
}

/** 127.0.0.1 in /proc/net/tcp, and the end of ::ffff:127.0.0.1 in tcp6. */
const LOOPBACK = '0100007F';

function portsOf(pids: string[]): number[] {
  const sockets = new Set(pids.flatMap(openFiles));
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'utf8').trim().split('\n').slice(1),
  );
  return lines.flatMap((line) => {
    // Number, local address, remote address, state (0A: LISTEN), ..., and the inode as the tenth field.
    const fields = line.trim().split(/\s+/);
    const [address = '', port = ''] = fields[1]!.split(':');
    const isOurs = fields[3] === '0A' && sockets.has(`socket:[${fields[9]}]`) && !address.endsWith(LOOPBACK);
    return isOurs ? [Number.parseInt(port, 16)] : [];
  });
}

function openFiles(pid: string): string[] {
  const names = entries(`/proc/${pid}/fd`);
  return names.flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      // The process has closed it since.
      return [];
    }
  });
}

/** Empty for a process that has ended, also while its parent has not asked for its exit code. */
function nameOf(pid: string): string {
  const [program = '', ...args] = contents(pid, 'cmdline').split('\0');
  return args.includes('-m') ? args[args.indexOf('-m') + 1]! : path.basename(program).split(' ')[0]!;
}

/** @param line `pid name`. */
function isAlive(line: string): boolean {
  const [pid = '', name] = line.split(' ');
  return nameOf(pid) === name;
}

function stateOf(line: string): string {
  const [pid = ''] = line.split(' ');
  const status = contents(pid, 'status').match(/^(State|PPid|SigIgn|SigCgt):.*$/gm) ?? [];
  return [`  ${line}`, ...status, contents(pid, 'wchan'), contents(pid, 'cmdline').replaceAll('\0', ' ')].join(', ');
}

/** Empty for a process that has ended. */
function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Empty for a process that has ended. */
function contents(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
