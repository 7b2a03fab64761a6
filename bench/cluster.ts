import path from 'node:path';
import { execa } from 'execa';
import { checkout } from '../test/setup/checkout.ts';
import { interpreter } from '../test/setup/python-tools.ts';
import { installClusterForTests } from '../test/setup/shared-home.ts';

interface Measured {
  replicas: number;
  /** Pieces per second, by those of the engine in its own process. */
  of_one: number;
  /** Seconds of a batch beyond those that the engine takes. */
  overhead: number;
  /** Cores that were busy, with whatever else the machine did. */
  cpu: number;
  /** Bytes of one node. */
  ray: number;
  replica: number;
}

const goals: Record<number, number> = { 1: 0.95, 2: 1.9, 3: 2.8 };
const MOST_OVERHEAD = 0.025;

/** What the cluster costs beside an engine of 200 ms a batch: a head and three nodes on this machine. */
export async function cluster(): Promise<void> {
  await installClusterForTests();
  const program = path.join(checkout, 'bench', 'cluster.py');
  const batches = process.argv.includes('--once') ? '3' : '40';
  const { stdout } = await execa(await interpreter('cluster'), [program, batches], { stderr: 'ignore' });
  console.log('cluster, 8 pieces of 25 s a batch, an engine of 200 ms a batch');
  for (const row of JSON.parse(stdout.split('\n').at(-1)!) as Measured[]) {
    const goal = goals[row.replicas]!;
    const mega = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
    console.log(
      `  ${row.replicas} replica(s): ${row.of_one.toFixed(2)} of one (goal ${goal}), overhead of a batch ` +
        `${(row.overhead * 1000).toFixed(0)} ms (goal ${MOST_OVERHEAD * 1000}), ${row.cpu.toFixed(1)} cores busy, ` +
        `a node: Ray ${mega(row.ray)}, replica ${mega(row.replica)}`,
    );
  }
}
