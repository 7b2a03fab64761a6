import type { ClusterStatus } from '../../cluster/node.ts';

/** `asrpro cluster status` for people: a line about all, and one for each machine. */
export function statusLines(address: string, { nodes, pieces_per_second }: ClusterStatus): string {
  const alive = nodes.filter((node) => node.alive);
  const sum = (of: 'slots' | 'replicas'): number => alive.reduce((total, node) => total + node[of], 0);
  const rate = pieces_per_second === null ? '' : `, ${pieces_per_second.toFixed(1)} pieces a second`;
  const rows = nodes.map((node) => [
    node.name,
    node.alive ? '' : 'gone',
    `${node.cpus} CPUs`,
    `${node.gpus} GPUs`,
    `${Math.round(node.memory_bytes / 1e6).toLocaleString('en')} MB`,
    `${node.replicas} of ${node.slots} slots`,
    node.models.join(' '),
  ]);
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, at) => Math.max(cell.length, all[at] ?? 0)), []);
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
  const first = `${address}: ${alive.length} nodes, ${sum('replicas')} replicas of ${sum('slots')} slots${rate}`;
  return [first, ...lines.map((line) => `  ${line}`), ''].join('\n');
}
