import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface Streamed {
  text: string;
  /** Seconds until the first text, and until the end. */
  first: number;
  wall: number;
}

/** Sends a file and reads the events of the stream. */
export async function streamed(url: string, file: string, model: string, language: string): Promise<Streamed> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ model, language, stream: 'true' })) form.append(name, value);
  form.append('file', new Blob([readFileSync(file)]), path.basename(file));
  const begin = performance.now();
  const since = (): number => (performance.now() - begin) / 1000;
  const response = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', body: form });
  if (!response.ok) throw new Error(await response.text());
  let [body, first] = ['', 0];
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    body += chunk;
    if (first === 0 && body.includes('transcript.text.delta')) first = since();
  }
  const done = body.split('\n').findLast((line) => line.startsWith('data:') && line.includes('transcript.text.done'));
  if (done === undefined) throw new Error(`the stream broke off: ${body.slice(-300)}`);
  const { text } = JSON.parse(done.slice('data:'.length)) as { text: string };
  return { text, first, wall: since() };
}
