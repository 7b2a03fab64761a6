import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Gateway, launchGateway } from '../../test/setup/launch.ts';
import type { Contender } from './contender.ts';

/** A contender behind OpenAI's API for transcriptions. */
export async function post(url: string, file: string, fields: Record<string, string>): Promise<string> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob([readFileSync(file)]), path.basename(file));
  const response = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return ((await response.json()) as { text: string }).text;
}

export function overHttp(name: string, url: string, pid: number, model: string, stop: () => Promise<void>): Contender {
  return {
    name,
    pid,
    transcribe: (file, language) => post(url, file, { model, ...(language === null ? {} : { language }) }),
    stop,
  };
}

export interface Product extends Contender {
  gateway: Gateway;
}

/** Our gateway with a loaded model. */
export async function startProduct(home: string, model: string, command?: string[]): Promise<Product> {
  const gateway = await launchGateway({
    home,
    args: ['--model', model, '--watch-stdin'],
    ...(command ? { command } : {}),
  });
  const stop = async (): Promise<void> => void (await gateway.stop());
  return { ...overHttp('asrpro', gateway.url, gateway.pid, model, stop), gateway };
}
