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
  summary: 'make this machine a node of a Ray cluster, look at the cluster, leave it (Linux)',
  usage: 'cluster start --head|HEAD:PORT [--slots N] [--wait] | status [--address HEAD:PORT] | stop',
  options: {
    head: { type: 'boolean', description: 'start: the first machine, which the others are told of.' },
    slots: {
      type: 'string',
      description: 'N. start: replicas that run here at once; one a GPU, else one. 0: for a gateway alone.',
    },
    wait: { type: 'boolean', description: 'start: stay until stopped, then leave; for containers and services.' },
    port: {
      type: 'string',
      description: `PORT. start: the head's, with the other ports of the node after it; ${HEAD_PORT} when not given.`,
    },
    ip: { type: 'string', description: 'ADDRESS. start: at which the others reach this machine.' },
    'worker-ports': { type: 'string', description: 'FIRST-LAST. start: ports of what runs on this machine.' },
    address: { type: 'string', description: 'HEAD:PORT. status: of another cluster than `cluster.address`.' },
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
  if (!signal.aborted) throw new AsrproError('cluster_unreachable', 'The node on this machine has ended by itself.');
  await stopNode({ ...options, signal: undefined });
}

function startedLines({ head, address, slots, ports, token_file }: StartedNode): string {
  const lines = [
    `This machine is a node of the cluster at ${address}, with ${slots} ${slots === 1 ? 'slot' : 'slots'}.`,
    'Whoever reaches these ports and has the token can run any program here; open them between the machines alone:',
    ...Object.entries(ports).map(([name, port]) => `  ${port.padEnd(12)} ${name}`),
  ];
  const others = [
    `Copy ${token_file} to every other machine, to cluster/token of its data directory, and run there:`,
    `  asrpro cluster start ${address}`,
    `For a gateway: asrpro config set cluster.address ${address}`,
  ];
  return [...lines, ...(head ? others : []), ''].join('\n');
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
  else terminal.out.write(ended === 0 ? 'This machine was no node.\n' : 'This machine has left the cluster.\n');
}

async function nodeOptions(context: CommandContext): Promise<NodeOptions> {
  const { engines } = await context.services();
  const { config, paths, environment, signal } = context;
  return { config, paths, environment, signal, engines, runtimeRoot: packageFile('python-runtime') };
}

function headAddress(text: string): string {
  if (isHeadAddress(text)) return text;
  throw new AsrproError('usage', `${text} is no address of a head.`, {
    hint: 'It is HOST:PORT, as the head printed it.',
  });
}

/** The flag as the node's command takes it; nothing where it is not given. */
function flag(flags: CommandContext['flags'], name: string, pattern: RegExp, what: string): string[] {
  const value = flags[name];
  if (value === undefined) return [];
  if (typeof value === 'string' && pattern.test(value)) return [`--${name}`, value];
  throw new AsrproError('usage', `--${name} takes ${what}.`);
}

function usage(): AsrproError {
  return new AsrproError('usage', `Usage: asrpro ${cluster.usage}`);
}
