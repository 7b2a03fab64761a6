import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type Answer, call, transcribe, wordsOf } from '../../test/setup/api.ts';
import { audio, jfkWords } from '../../test/setup/checkout.ts';
import { createHome } from '../../test/setup/create-home.ts';
import { type Gateway, type LaunchOptions, launchGateway } from '../../test/setup/launch.ts';

export const BASE = 'whisper-base';
export const TINY = 'whisper-tiny.en';
export const jfk: string = audio('english/jfk.flac');

/** A row of the table in docs/reliability.md. */
export interface Row {
  what: string;
  found: string;
  goal: string;
  held: boolean;
}

/** Runs `work` with a gateway that has the installed engines and models, then stops it and removes its home. */
export async function withGateway<T>(
  work: (gateway: Gateway) => Promise<T>,
  options: Partial<LaunchOptions> = {},
): Promise<T> {
  const home = options.home ?? createHome(true);
  const gateway = await launchGateway({ ...options, home });
  try {
    return await work(gateway);
  } finally {
    await gateway.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * `right`, the code of a 5xx error, or `cut` for a connection that ended without an answer. Anything else is a fault of
 * the gateway and begins with `WRONG` or `UNTYPED`.
 */
export async function outcome(url: string, model: string): Promise<string> {
  const answer: Answer | null = await transcribe(url, jfk, { model }).catch(() => null);
  if (answer === null) return 'cut';
  if (answer.status === 200) return wordsOf(answer.json.text) === jfkWords ? 'right' : `WRONG: ${answer.json.text}`;
  const { code } = answer.json.error;
  return typeof code === 'string' && answer.status >= 500 ? code : `UNTYPED: ${answer.status} ${answer.text}`;
}

export const health = async (url: string) => (await call(url, '/health')).json;

/** Resident memory of a process in bytes; 0 when it has ended. */
export function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Sends a file and ignores the answer. */
export async function send(url: string, file: string, signal: AbortSignal, model?: string): Promise<void> {
  const form = new FormData();
  form.append('file', new Blob([readFileSync(file)]), path.basename(file));
  if (model !== undefined) form.append('model', model);
  await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form, signal }).catch(() => undefined);
}

/** Process ids of the living workers of the gateway. */
export function workersOf(gateway: Gateway): number[] {
  return gateway
    .processes()
    .filter((line) => line.includes('asrpro_worker'))
    .map((line) => Number(line.split(' ')[0]));
}

/** Children of the gateway, read from one file: reading all of /proc 40 times a second would slow down the gateway. */
export function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

/** Seconds until a condition holds; Infinity if it does not hold within the limit. */
export async function secondsUntil(fact: () => boolean | Promise<boolean>, limit: number): Promise<number> {
  const startedAt = performance.now();
  while ((performance.now() - startedAt) / 1000 < limit) {
    if (await fact()) return (performance.now() - startedAt) / 1000;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return Number.POSITIVE_INFINITY;
}

/** Counts each outcome, as text for the page. */
export function tally(outcomes: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const one of outcomes) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(', ');
}

/** The right text, or an error of the catalogue that tells a client what happened. */
export const isTyped = (one: string): boolean => !/^(WRONG|UNTYPED|cut$|internal_error$)/.test(one);

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Twelve minutes of speech, from the recordings beside the checkout. */
export const longFile: string = path.join(
  import.meta.dirname,
  '../../../shared/audio/longform/libri_27-123349_12min.m4a',
);
