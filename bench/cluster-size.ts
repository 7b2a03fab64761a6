/**
 * `npm run bench -- cluster-size`: estimates the throughput of up to 100 machines from measured figures. It simulates
 * batches and starts no machine. docs/cluster.md names the source of each figure.
 */

/** Seconds and bytes for one piece, which is at most 30 s of speech. */
export interface Figures {
  /** Time of a replica for one piece of a batch of eight. */
  engine: number;
  /** Time from sending a batch to its answer, without the engine's time. */
  batchOverhead: number;
  /** Time of one core of the gateway: decoding audio, speech detection, packing, the answer. */
  gateway: number;
  bytes: number;
  /** Bytes per second of the gateway's network. */
  network: number;
}

export const BATCH = 8;
/** Batches in flight for each gateway, beyond one for each replica. */
const SPARE = 2;

/** Cores of a gateway. It decodes each file on one core. */
const CORES = 4;

export const MACHINES: Readonly<Record<string, Figures>> = {
  // whisper-base, int8, 8 pieces at once: 720 s in 35.7 s on 2 cores.
  'whisper-base on 2 CPU cores': { engine: 1.49, batchOverhead: 0.015, gateway: 0.1, bytes: 900_000, network: 125e6 },
  // whisper-base: 720 s in 2.7 s on an H200.
  'whisper-base on one H200': { engine: 0.113, batchOverhead: 0.015, gateway: 0.1, bytes: 900_000, network: 1.25e9 },
};

/** Pieces per second that the replicas decode while the gateways always have work. */
export function throughput(figures: Figures, replicas: number, gateways: number, batches = 5_000): number {
  const { engine, batchOverhead, gateway, bytes, network } = figures;
  // The time at which each of them is free again.
  const cores = new Array<number>(gateways * CORES).fill(0);
  const links = new Array<number>(gateways).fill(0);
  const busy = new Array<number>(replicas).fill(0);
  const places = new Array<number>(replicas + SPARE * gateways).fill(0);
  const take = (queue: number[], from: number, seconds: number): number => {
    const first = queue.indexOf(Math.min(...queue));
    queue[first] = Math.max(queue[first]!, from) + seconds;
    return queue[first]!;
  };
  let last = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    const place = places.indexOf(Math.min(...places));
    const made = take(cores, 0, gateway * BATCH);
    const sent = take(links, Math.max(made, places[place]!), (bytes * BATCH) / network);
    places[place] = take(busy, sent, engine * BATCH) + batchOverhead;
    last = Math.max(last, places[place]!);
  }
  return (batches * BATCH) / last;
}

/** Prints the table of docs/cluster.md. */
export async function clusterSize(): Promise<void> {
  for (const [name, figures] of Object.entries(MACHINES)) {
    console.log(
      `\n| ${name}: replicas | gateways | pieces per second | times one replica | hours of speech per hour | MB/s from one gateway |`,
    );
    console.log('|---|---|---|---|---|---|');
    const one = throughput(figures, 1, 1);
    for (const [replicas, gateways] of [
      [1, 1],
      [3, 1],
      [10, 1],
      [30, 1],
      [100, 1],
      [100, 4],
      [100, 16],
    ] as const) {
      const rate = throughput(figures, replicas, gateways);
      const share = ((rate * figures.bytes) / gateways / 1e6).toFixed(0);
      const hours = Math.round(rate * 30).toLocaleString('en');
      console.log(
        `| ${replicas} | ${gateways} | ${rate.toFixed(1)} | ${(rate / one).toFixed(1)} | ${hours} | ${share} |`,
      );
    }
  }
}

if (import.meta.main) await clusterSize();
