import { cpuSeconds } from '../processes.ts';

/** One side of a comparison: it turns a file into text. */
export interface Contender {
  readonly name: string;
  /** The root process of its tree. */
  readonly pid: number;
  /** @param language null: the contender has to detect it. */
  transcribe(file: string, language: string | null): Promise<string>;
  stop(): Promise<void>;
}

export interface Run {
  text: string;
  wall: number;
  cpu: number;
}

/** Wall and CPU seconds of one call. */
export async function timed(contender: Contender, file: string, language: string | null): Promise<Run> {
  const cpu = cpuSeconds(contender.pid);
  const begin = performance.now();
  const text = await contender.transcribe(file, language);
  const wall = (performance.now() - begin) / 1000;
  return { text: text.trim(), wall, cpu: cpuSeconds(contender.pid) - cpu };
}

/**
 * Runs every contender once in every round, one at a time. The order changes with every round, and the first round is a
 * warm-up that does not count.
 */
export async function interleave(
  contenders: readonly Contender[],
  rounds: number,
  file: string,
  language: string | null,
): Promise<Map<string, Run[]>> {
  const runs = new Map<string, Run[]>(contenders.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    const order = round % 2 === 0 ? contenders : [...contenders].reverse();
    for (const contender of order) {
      const run = await timed(contender, file, language);
      if (round >= 0) runs.get(contender.name)!.push(run);
    }
  }
  return runs;
}
