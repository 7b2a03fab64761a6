import path from 'node:path';
import { execa } from 'execa';
import { checkout } from '../test/setup/checkout.ts';
import { interpreter } from '../test/setup/python-tools.ts';
import { installClusterForTests } from '../test/setup/shared-home.ts';

interface Measured {
  replicas: number;
  /** Pieces per second, divided by those of the engine alone. */
  of_one: number;
  /** Seconds of a batch beyond those of the engine. */
  overhead: number;
  /** Busy cores of the whole machine, with everything else that ran. */
  cpu: number;
  /** Bytes of memory on one node. */
  ray: number;
  replica: number;
}

const goals: Record<number, number> = { 1: 0.95, 2: 1.9, 3: 2.8 };
const MOST_OVERHEAD = 0.025;

/** What the cluster adds to an engine that takes 200 ms for a batch. A head and three nodes run on this machine. */
export async function cluster(): Promise<void> {
  await installClusterForTests();
  const program = path.join(checkout, 'bench', 'cluster.py');
  const batches = process.argv.includes('--once') ? '3' : '40';
  const { stdout } = await execa(await interpreter('cluster'), [program, batches], { stderr: 'ignore' });
  console.log('cluster: batches of 8 pieces of 25 s, an engine that takes 200 ms for a batch');
  for (const row of JSON.parse(stdout.split('\n').at(-1)!) as Measured[]) {
    const goal = goals[row.replicas]!;
    const mega = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
    console.log(
      `  ${row.replicas} replica(s): ${row.of_one.toFixed(2)} times the engine alone (goal ${goal}), overhead of a batch ` +
        `${(row.overhead * 1000).toFixed(0)} ms (goal ${MOST_OVERHEAD * 1000}), ${row.cpu.toFixed(1)} cores busy, ` +
        `a node: Ray ${mega(row.ray)}, replica ${mega(row.replica)}`,
    );
  }
}
