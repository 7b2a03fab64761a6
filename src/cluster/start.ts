import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AsrproError } from '../errors.ts';
import { publicWords } from '../worker/exit.ts';
import { unreachable } from './cluster.ts';
import { type NodeOptions, runNodeCommand } from './node.ts';
import { tokenFile } from './settings.ts';

export type Place = { head: true; port: number } | { head: false; address: string };

export interface StartedNode {
  /** Of the head, as the others reach it. */
  address: string;
  tokenFile: string;
}

/**
 * Makes this machine a node. @param slots replicas that fit here; null: by its GPUs. Throws `cluster_unreachable`,
 * `engine_not_installed`.
 */
export async function startNode(place: Place, slots: number | null, options: NodeOptions): Promise<StartedNode> {
  const address = place.head ? `${await ownAddress()}:${place.port}` : place.address;
  const where = place.head ? ['--head', '--port', String(place.port)] : [place.address];
  const ended = await runNodeCommand(
    ['start', ...where, ...(slots === null ? [] : ['--slots', String(slots)])],
    options,
  );
  if (!ended.failed) return { address, tokenFile: path.resolve(tokenFile(options.config, options.paths)) };
  const words = ended.cause ?? publicWords(ended.output);
  throw unreachable(`This machine could not join: ${words.replace(/\.$/, '')}.`);
}

/** Ends all processes of Ray on this machine. */
export async function leaveCluster(options: NodeOptions): Promise<void> {
  const ended = await runNodeCommand(['stop'], options);
  if (!ended.failed) return;
  throw new AsrproError('internal_error', 'The node could not be stopped.', {
    cause: new Error(ended.output.slice(-2000)),
  });
}

/** How often is looked, in milliseconds. */
const LOOK_MS = 1_000;

/** Resolves when there is no node on this machine any more, or on abort. A node whose head is gone ends after a minute. */
export async function livesHere(signal: AbortSignal): Promise<void> {
  while (!signal.aborted && raylets() > 0) await pause(LOOK_MS, undefined, { signal }).catch(() => undefined);
}

/** Ray's process of a node, of which each has one. */
function raylets(): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isRaylet(name)).length;
}

function isRaylet(pid: string): boolean {
  try {
    return path.basename(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]!) === 'raylet';
  } catch {
    return false;
  }
}

/** The address that others reach this machine at: the one of the network that leads outside. Nothing is sent. */
async function ownAddress(): Promise<string> {
  const socket = createSocket('udp4');
  try {
    socket.connect(80, '192.0.2.1');
    await once(socket, 'connect');
    return socket.address().address;
  } catch {
    return '127.0.0.1';
  } finally {
    socket.close();
  }
}
