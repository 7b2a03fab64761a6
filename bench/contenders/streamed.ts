import { readFileSync } from 'node:fs';
import path from 'node:path';

const FIRST = 'transcript.text.delta';

export interface Streamed {
  text: string;
  /** Seconds until the first text, and until the end. */
  first: number;
  wall: number;
}

/** Sends a file and reads the events of the stream. */
export async function streamed(url: string, file: string, model: string, language: string): Promise<Streamed> {
  let [body, first, wall] = ['', 0, 0];
  for await (const { chunk, seconds } of events(url, file, model, language)) {
    body += chunk;
    wall = seconds;
    if (first === 0 && body.includes(FIRST)) first = seconds;
  }
  const done = body.split('\n').findLast((line) => line.startsWith('data:') && line.includes('transcript.text.done'));
  if (done === undefined) throw new Error(`the stream broke off: ${body.slice(-300)}`);
  const { text } = JSON.parse(done.slice('data:'.length)) as { text: string };
  return { text, first, wall };
}

/** Seconds until the first text; the client then goes away. */
export async function firstText(url: string, file: string, model: string, language: string): Promise<number> {
  let body = '';
  for await (const { chunk, seconds } of events(url, file, model, language)) {
    body += chunk;
    if (body.includes(FIRST)) return seconds;
  }
  throw new Error(`the stream has no text: ${body.slice(-300)}`);
}

/** The chunks of the stream, with the seconds since the request. */
async function* events(url: string, file: string, model: string, language: string) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ model, language, stream: 'true' })) form.append(name, value);
  form.append('file', new Blob([readFileSync(file)]), path.basename(file));
  const begin = performance.now();
  const response = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  if (!response.ok) throw new Error(await response.text());
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    yield { chunk, seconds: (performance.now() - begin) / 1000 };
  }
}
