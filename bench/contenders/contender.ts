import { cpuSeconds } from '../processes.ts';

/** Something that turns a file into text. */
export interface Contender {
  readonly name: string;
  /** Root of its processes. */
  readonly pid: number;
  /** Without a language it has to be found. */
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
 * Every contender in every round, one at a time; who begins changes from round to round. The first round is not counted.
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
