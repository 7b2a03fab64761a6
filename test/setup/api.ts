import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the tests check the shape of the answer
  json: any;
}

/** Calls the API once. */
export async function call(url: string, route: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url + route, init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

export const post = (url: string, route: string, body: unknown): Promise<Answer> =>
  call(url, route, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** Requests a transcription of a file; null sends only the fields. */
export async function transcribe(
  url: string,
  file: string | null,
  fields: Record<string, string> = {},
): Promise<Answer> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  if (file !== null) form.append('file', new Blob([readFileSync(file)]), path.basename(file));
  return await call(url, '/v1/audio/transcriptions', { method: 'POST', body: form });
}

/** The words in lower case without punctuation, for comparisons of spoken text. */
export function wordsOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}' ]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
