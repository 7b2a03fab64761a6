import { rmSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { transcribe } from '../test/setup/api.ts';
import { corpus } from '../test/setup/corpus.ts';
import { createHome } from '../test/setup/create-home.ts';
import { launchGateway } from '../test/setup/launch.ts';
import { pythonWithTools } from '../test/setup/python-tools.ts';

/** Word error rate of `whisper-base` over HTTP on LibriSpeech, normalised as OpenAI did for the Whisper paper. */
export async function wordErrorRate(): Promise<void> {
  const home = createHome(true);
  const gateway = await launchGateway({ home, args: ['--model', 'whisper-base'] });
  try {
    const pairs: { reference: string; hypothesis: string }[] = [];
    const startedAt = performance.now();
    for (const { file, reference } of corpus('librispeech')) {
      const { json } = await transcribe(gateway.url, file);
      pairs.push({ reference, hypothesis: json.text });
    }
    const seconds = (performance.now() - startedAt) / 1000;
    const script = path.join(import.meta.dirname, 'word_error_rate.py');
    const { stdout } = await execa(await pythonWithTools(), [script], { input: JSON.stringify(pairs) });
    console.log(`whisper-base, ${pairs.length} LibriSpeech utterances, ${seconds.toFixed(1)} s: ${stdout}`);
  } finally {
    await gateway.stop();
    rmSync(home, { recursive: true });
  }
}
