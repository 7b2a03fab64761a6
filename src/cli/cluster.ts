import { askStatus, type NodeOptions, requireSystem, type StartedNode, startNode, stopNode } from '../cluster/node.ts';
import { endOfNode } from '../cluster/node-process.ts';
import { HEAD_PORT, isHeadAddress } from '../cluster/settings.ts';
import { AsrproError } from '../errors.ts';
import { packageFile } from '../package-files.ts';
import { statusLines } from './cluster/status-lines.ts';
import type { Command, CommandContext } from './command.ts';

const actions: Record<string, { arguments: number; run(context: CommandContext): Promise<void> }> = {
  start: { arguments: 1, run: start },
  status: { arguments: 0, run: status },
  stop: { arguments: 0, run: stop },
};

export const cluster: Command = {
  name: 'cluster',
  summary: 'join a Ray cluster with this machine, show its status, leave it (Linux)',
  usage: 'cluster start --head|HEAD:PORT [--slots N] [--wait] | status [--address HEAD:PORT] | stop',
  options: {
    head: { type: 'boolean', description: 'start: this is the first machine; the others join it.' },
    slots: {
      type: 'string',
      description:
        'N. start: replicas that this machine runs at the same time. Default: one for each GPU, else 1; 0: none.',
    },
    wait: {
      type: 'boolean',
      description: 'start: stay in the foreground, and leave the cluster on SIGTERM; for containers and services.',
    },
    port: {
      type: 'string',
      description: `PORT. start: first port of the node, which is the head's; default ${HEAD_PORT}.`,
    },
    ip: { type: 'string', description: 'ADDRESS. start: IP address at which the other machines reach this one.' },
    'worker-ports': {
      type: 'string',
      description: 'FIRST-LAST. start: ports for the processes that run on this machine.',
    },
    address: { type: 'string', description: 'HEAD:PORT. status: the cluster to show instead of `cluster.address`.' },
  },
  async run(context) {
    const [name = '', ...args] = context.positionals;
    const action = Object.hasOwn(actions, name) ? actions[name]! : undefined;
    if (action === undefined || args.length > action.arguments) throw usage();
    requireSystem();
    await action.run({ ...context, positionals: args });
  },
};

async function start(context: CommandContext): Promise<void> {
  const { positionals, flags, terminal, paths, signal } = context;
  const [address] = positionals;
  if ((flags.head === true) === (address !== undefined)) throw usage();
  const args = [
    ...(address === undefined ? ['--head'] : [headAddress(address)]),
    ...flag(flags, 'slots', /^\d{1,4}$/, 'a whole number'),
    ...flag(flags, 'port', /^\d{1,5}$/, 'a port'),
    ...flag(flags, 'ip', /^[0-9a-fA-F.:]+$/, 'an IP address'),
    ...flag(flags, 'worker-ports', /^\d{1,5}-\d{1,5}$/, 'FIRST-LAST'),
  ];
  const options = await nodeOptions(context);
  const node = await startNode(args, options);
  terminal.out.write(terminal.json ? `${JSON.stringify(node)}\n` : startedLines(node));
  if (flags.wait !== true) return;
  await endOfNode(paths, signal);
  if (!signal.aborted) throw new AsrproError('cluster_unreachable', 'The node on this machine has ended unexpectedly.');
  await stopNode({ ...options, signal: undefined });
}

function startedLines({ head, address, slots, ports, token_file }: StartedNode): string {
  const lines = [
    `This machine is a node of the cluster at ${address}, with ${slots} ${slots === 1 ? 'slot' : 'slots'}.`,
    'With the token, these ports give code execution. Open them between the machines of the cluster only:',
    ...Object.entries(ports).map(([name, port]) => `  ${port.padEnd(12)} ${name}`),
  ];
  const nextSteps = [
    `Copy ${token_file} to cluster/token in the data directory of every other machine, and run there:`,
    `  asrpro cluster start ${address}`,
    `For a gateway: asrpro config set cluster.address ${address}`,
  ];
  return [...lines, ...(head ? nextSteps : []), ''].join('\n');
}

async function status(context: CommandContext): Promise<void> {
  const { config, flags, terminal } = context;
  const given = typeof flags.address === 'string' ? headAddress(flags.address) : config.cluster.address;
  const address = given ?? `127.0.0.1:${HEAD_PORT}`;
  const found = await askStatus(address, await nodeOptions(context));
  terminal.out.write(
    terminal.json ? `${JSON.stringify({ address, ...found }, null, 2)}\n` : statusLines(address, found),
  );
}

async function stop(context: CommandContext): Promise<void> {
  const ended = await stopNode(await nodeOptions(context));
  const { terminal } = context;
  if (terminal.json) terminal.out.write(`${JSON.stringify({ ended })}\n`);
  else terminal.out.write(ended === 0 ? 'This machine was not a node.\n' : 'This machine has left the cluster.\n');
}

async function nodeOptions(context: CommandContext): Promise<NodeOptions> {
  const { engines } = await context.services();
  const { config, paths, environment, signal } = context;
  return { config, paths, environment, signal, engines, runtimeRoot: packageFile('python-runtime') };
}

function headAddress(text: string): string {
  if (isHeadAddress(text)) return text;
  throw new AsrproError('usage', `${text} is not the address of a head.`, {
    hint: 'Give HOST:PORT, as the head printed it.',
  });
}

/** The flag for the node's command; empty if it was not given. */
function flag(flags: CommandContext['flags'], name: string, pattern: RegExp, what: string): string[] {
  const value = flags[name];
  if (value === undefined) return [];
  if (typeof value === 'string' && pattern.test(value)) return [`--${name}`, value];
  throw new AsrproError('usage', `--${name} takes ${what}.`);
}

function usage(): AsrproError {
  return new AsrproError('usage', `Usage: asrpro ${cluster.usage}`);
}
