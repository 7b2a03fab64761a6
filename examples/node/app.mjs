/** Installs what is missing, then transcribes a file: `node app.mjs speech.wav [--mock]`. */
import { openAsBlob } from 'node:fs';
import { launch } from 'asrpro/client';

const [file, ...flags] = process.argv.slice(2);
const mock = flags.includes('--mock');
const model = mock ? 'mock-download' : 'whisper-base';

const sidecar = await launch({ mock, onExit: ({ message }) => console.error(message) });
try {
  for await (const { status, step } of sidecar.installEngine('core')) console.error('engine:', status, step ?? '');
  for await (const { status, bytes_done, bytes_total } of sidecar.download(model)) {
    console.error('model:', status, bytes_done, 'of', bytes_total ?? '?', 'bytes');
  }
  await sidecar.load(model);
  console.log((await sidecar.transcribe(await openAsBlob(file))).text);
} finally {
  await sidecar.stop();
}
