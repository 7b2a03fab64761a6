import type { ClusterStatus } from '../../cluster/node.ts';

/** The text of `asrpro cluster status`: one line for the cluster, one for each machine, and one for each model. */
export function statusLines(address: string, { ray, nodes, models, pieces_per_second }: ClusterStatus): string {
  const alive = nodes.filter((node) => node.alive);
  const sum = (of: 'slots' | 'replicas'): number => alive.reduce((total, node) => total + node[of], 0);
  const machines = nodes.map((node) => [
    node.name,
    node.alive ? '' : 'lost',
    `${node.cpus} CPUs`,
    `${node.gpus} GPUs`,
    `${Math.round(node.memory_bytes / 1e6).toLocaleString('en')} MB`,
    `${node.replicas} of ${node.slots} slots`,
    node.models.join(' '),
  ]);
  const counts = `nodes ${alive.length}, replicas ${sum('replicas')} of ${sum('slots')} slots`;
  return [
    `${address}, Ray ${ray}: ${counts}, ${pieces_per_second.toFixed(1)} pieces per second`,
    ...table(machines),
    ...models.map(({ model, wanted, gateways }) => `  ${model}: replicas wanted ${wanted}, gateways ${gateways}`),
    '',
  ].join('\n');
}

function table(rows: readonly string[][]): string[] {
  const width = (at: number): number => Math.max(...rows.map((row) => row[at]!.length));
  return rows.map((row) => `  ${row.map((cell, at) => cell.padEnd(width(at))).join('  ')}`.trimEnd());
}
