import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { startInProcess } from '../contenders/in-process.ts';
import { startProduct } from '../contenders/over-http.ts';
import { firstText, type Streamed, streamed } from '../contenders/streamed.ts';
import { beginning, english, joinedIn, made, type Spoken } from '../long-audio.ts';
import { peak } from '../processes.ts';
import type { Measured, Row, Surroundings } from '../row.ts';
import { ratio, spread } from '../statistics.ts';
import { errorsRow, wordErrors } from '../word-errors.ts';

const MODEL = 'whisper-base';
/** Pieces that the library's batched pipeline decodes at once. */
const PIECES = 8;

interface Heard extends Streamed {
  /** MB. */
  peak: number;
}

/**
 * Long files: time, memory, time to the first text, and word errors. A file of 12 minutes and a French one; with `--full`
 * also files of 19 and 74 minutes.
 */
export async function longFile(around: Surroundings): Promise<Measured> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  const [rows, raw]: [Row[], unknown[]] = [[], []];
  try {
    const lengths: [minutes: number, ofInProcess: number, ofBatched: number | null][] = around.full
      ? [
          [12, 0.42, 0.9],
          [19, 0.42, 0.9],
          [74, 0.45, null],
        ]
      : [[12, 0.42, 0.9]];
    let longest: { name: string; path: string; heard: Heard } | null = null;
    for (const [minutes, ofInProcess, ofBatched] of lengths) {
      const name = `${minutes} minutes (${made})`;
      const file = await english(folder, minutes);
      const { ours, theirs, batched, errors } = await compared(around, name, file);
      rows.push(against(name, 'in-process', ours, theirs, ofInProcess));
      if (ofBatched !== null)
        rows.push(against(name, `its batched pipeline, ${PIECES} pieces`, ours, batched, ofBatched));
      rows.push(errors);
      raw.push({ name, ours, theirs, batched });
      longest = { name, path: file.path, heard: ours };
    }
    rows.push(...(await flatness(around, folder, longest!)));
    const french = 'French recordings joined';
    rows.push((await compared(around, french, await joinedIn(folder, 'fr'))).errors);
    return { rows, charts: [], raw };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function compared(around: Surroundings, name: string, file: Spoken) {
  const theirs = await inProcess(around, file);
  const batched = await inProcess(around, file, PIECES);
  const ours = await overHttp(around, file.path, file.language);
  const sums = await Promise.all([ours, theirs].map(({ text }) => wordErrors([{ ...file, hypothesis: text }])));
  return { ours, theirs, batched, errors: errorsRow(name, sums[0]!, sums[1]!) };
}

/** Rows that check that memory and time to the first text do not grow with the length of a file. */
async function flatness(
  around: Surroundings,
  folder: string,
  { name, path: long, heard }: { name: string; path: string; heard: Heard },
): Promise<Row[]> {
  const short = await beginning(folder, long, 60);
  const minute = await overHttp(around, short, 'en');
  const five = await overHttp(around, await beginning(folder, long, 300), 'en');
  const [firstOfLong, firstOfShort] = await firstTexts(around, [long, short]);
  return [
    {
      name: `${name}: peak memory of the worker`,
      value: heard.peak,
      target: 600,
      unit: 'MB',
      detail: `${minute.peak.toFixed(0)} MB for 60 s`,
    },
    {
      name: `${name}: peak memory against 5 minutes`,
      value: heard.peak / five.peak,
      target: 1.1,
      unit: 'x',
      detail: `${heard.peak.toFixed(0)} MB, ${five.peak.toFixed(0)} MB for 5 minutes`,
    },
    {
      name: '60 s: first text against the whole time',
      value: minute.first / minute.wall,
      target: 0.5,
      unit: 'x',
      detail: `${minute.first.toFixed(1)} of ${minute.wall.toFixed(1)} s`,
    },
    {
      name: `${name}: first text against that of 60 s`,
      value: ratio(firstOfLong!, firstOfShort!),
      target: 1.5,
      unit: 'x',
      detail: `${spread(firstOfLong!)} s, ${spread(firstOfShort!)} s for 60 s`,
    },
  ];
}

/** Seconds until the first text of each file, in rounds. */
async function firstTexts(around: Surroundings, files: readonly string[]): Promise<number[][]> {
  const product = await startProduct(around.home, MODEL);
  try {
    const seconds: number[][] = files.map(() => []);
    for (let round = 0; round < around.rounds(3); round += 1) {
      for (const [at, file] of files.entries()) {
        seconds[at]!.push(await firstText(product.gateway.url, file, MODEL, 'en'));
        await idle(product.gateway.url);
      }
    }
    return seconds;
  } finally {
    await product.stop();
  }
}

/** Waits until the job of the client that went away has ended. */
async function idle(url: string): Promise<void> {
  for (;;) {
    const health = (await (await fetch(`${url}/health`)).json()) as { queue: { running: number } };
    if (health.queue.running === 0) return;
    await setTimeout(20);
  }
}

function against(name: string, what: string, ours: Heard, other: Heard, target: number): Row {
  const figures = (heard: Heard): string => `${heard.wall.toFixed(1)} s, ${heard.peak.toFixed(0)} MB`;
  return {
    name: `${name}: total time against ${what}`,
    value: ratio([ours.wall], [other.wall]),
    target,
    unit: 'x',
    detail: `asrpro ${figures(ours)}; ${what} ${figures(other)}`,
  };
}

async function inProcess(around: Surroundings, file: Spoken, pieces?: number): Promise<Heard> {
  const direct = await startInProcess(around.python, around.modelPath(MODEL));
  try {
    const { text, seconds, first } = await direct.ask(file.path, file.language, pieces);
    return { text, wall: seconds, first: first ?? seconds, peak: peak(direct.pid) };
  } finally {
    await direct.stop();
  }
}

async function overHttp(around: Surroundings, file: string, language: string): Promise<Heard> {
  const product = await startProduct(around.home, MODEL);
  try {
    const heard = await streamed(product.gateway.url, file, MODEL, language);
    // The worker is the largest process of the tree.
    return { ...heard, peak: peak(product.pid) };
  } finally {
    await product.stop();
  }
}
