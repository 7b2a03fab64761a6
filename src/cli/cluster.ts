import type { Services } from '../app.ts';
import { askStatus, requireSystem } from '../cluster/node.ts';
import { HEAD_PORT } from '../cluster/settings.ts';
import { leaveCluster, livesHere, startNode } from '../cluster/start.ts';
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
    port: {
      type: 'string',
      description: `PORT. start --head: where the others reach it; ${HEAD_PORT} when not given.`,
    },
    slots: {
      type: 'string',
      description: 'N. start: replicas that run here at once; one a GPU, else one, when not given. 0: a gateway alone.',
    },
    wait: { type: 'boolean', description: 'start: stay until stopped, then leave; for containers and services.' },
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
  const { positionals, flags, terminal, signal } = context;
  const [address] = positionals;
  const head = flags.head === true;
  if (head === (address !== undefined)) throw usage();
  const place = head
    ? { head: true as const, port: wholeNumber(flags.port, '--port') ?? HEAD_PORT }
    : { head: false as const, address: checkedAddress(address!) };
  const slots = wholeNumber(flags.slots, '--slots');
  const node = await startNode(place, slots, await options(context));
  if (terminal.json)
    terminal.out.write(`${JSON.stringify({ head, address: node.address, token_file: node.tokenFile })}\n`);
  else if (head) {
    terminal.out.write(`The cluster is up. On every other machine, with the secret of ${node.tokenFile}:\n`);
    terminal.out.write(`  asrpro cluster start ${node.address}\n`);
    terminal.out.write(
      `For the gateways, on machines of the cluster: asrpro config set cluster.address ${node.address}\n`,
    );
  } else terminal.out.write(`This machine belongs to the cluster of ${node.address}.\n`);
  if (flags.wait !== true) return;
  await livesHere(signal);
  if (!signal.aborted) throw new AsrproError('cluster_unreachable', 'The node on this machine has ended by itself.');
  await leaveCluster({ ...(await options(context)), signal: undefined });
}

async function status(context: CommandContext): Promise<void> {
  const { config, flags, terminal } = context;
  const given = typeof flags.address === 'string' ? checkedAddress(flags.address) : config.cluster.address;
  const address = given ?? `127.0.0.1:${HEAD_PORT}`;
  const found = await askStatus(address, await options(context));
  terminal.out.write(
    terminal.json ? `${JSON.stringify({ address, ...found }, null, 2)}\n` : statusLines(address, found),
  );
}

async function stop(context: CommandContext): Promise<void> {
  await leaveCluster(await options(context));
  if (!context.terminal.quiet) context.terminal.err.write('No process of Ray runs on this machine any more.\n');
}

async function options(context: CommandContext) {
  const { engines }: Services = await context.services();
  const { config, paths, environment, signal } = context;
  return { config, paths, environment, signal, engines, runtimeRoot: packageFile('python-runtime') };
}

function checkedAddress(text: string): string {
  if (/^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}$/.test(text)) return text;
  throw new AsrproError('usage', `${text} is no address of a head.`, {
    hint: 'It is HOST:PORT, as the head printed it.',
  });
}

function wholeNumber(value: CommandContext['flags'][string], flag: string): number | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && /^\d{1,5}$/.test(value)) return Number(value);
  throw new AsrproError('usage', `${flag} takes a whole number.`);
}

function usage(): AsrproError {
  return new AsrproError('usage', `Usage: asrpro ${cluster.usage}`);
}
