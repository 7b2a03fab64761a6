import type { Config } from '../config/schema.ts';
import { detectCpu, detectMps } from '../devices/detect.ts';
import type { Device, Devices } from '../devices/types.ts';
import { engineIds } from '../engine-table.ts';
import { asAsrproError } from '../errors.ts';
import type { ClusterNode } from '../wire/messages.ts';
import type { Cluster } from './cluster.ts';

/** The device id that `selected` has for every engine. */
const CLUSTER = 'cluster';

/** The machines of the cluster as devices. This machine's own are listed but not probed: no model is loaded on them. */
export function createClusterDevices({ device }: Pick<Config, 'device'>, cluster: Cluster): Devices {
  return {
    async report() {
      const machines = await cluster.nodes().then(
        (nodes) => nodes.map(asDevice),
        (error: unknown) => [unreachable(asAsrproError(error).message)],
      );
      const reason = 'Models run on the cluster that `cluster.address` names.';
      const own = [detectCpu(), detectMps(process.env)].map(({ present, driver: _driver, ...found }): Device => {
        return { ...found, usable: false, reason: present ? reason : found.reason, engines: {} };
      });
      const selected = Object.fromEntries(engineIds.map((engine) => [engine, CLUSTER]));
      return { devices: [...machines, ...own], selected };
    },
    // Each machine of the cluster chooses among its own devices.
    select: async () => ({ device: device.prefer, computeType: device.computeType }),
    lastChosen: () => 'cpu',
  };
}

function asDevice({ id, name, alive, cpus, gpus, memory_bytes, slots, replicas, models }: ClusterNode): Device {
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
  const loaded = models.length === 0 ? '' : ` (${models.join(', ')})`;
  const reason = !alive ? 'It does not answer.' : slots === 0 ? 'It has no slot for a replica.' : null;
  return {
    id: `node:${id}`,
    kind: gpus > 0 ? 'cuda' : 'cpu',
    name: [name, count(cpus, 'CPU'), count(gpus, 'GPU'), `${count(replicas, 'replica')} of ${slots}${loaded}`].join(
      ', ',
    ),
    memoryBytes: Math.round(memory_bytes),
    usable: reason === null,
    reason,
    engines: {},
  };
}

function unreachable(reason: string): Device {
  return { id: CLUSTER, kind: 'cpu', name: 'Ray cluster', memoryBytes: null, usable: false, reason, engines: {} };
}
