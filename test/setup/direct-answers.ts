import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from './checkout.ts';
import { pythonWithTools } from './python-tools.ts';
import { sharedHome } from './shared-home.ts';

const script = path.join(checkout, 'test', 'e2e', 'direct_faster_whisper.py');

/**
 * The texts that faster-whisper gives for files in direct calls, in the order of the files. They take minutes and depend
 * only on the engine environment, the script and the contents of the files, so they are kept beside the environments until
 * one of these changes.
 */
export async function directAnswers(model: string, files: readonly string[]): Promise<string[]> {
  const python = await pythonWithTools();
  const key = createHash('sha256').update(`${python}\n${model}\n`).update(readFileSync(script));
  for (const file of files) key.update(readFileSync(file));
  const kept = path.join(sharedHome, 'direct-answers', `${key.digest('hex').slice(0, 16)}.json`);
  if (!existsSync(kept)) {
    const { stdout } = await execa(python, [script, path.join(sharedHome, 'models', model), ...files]);
    mkdirSync(path.dirname(kept), { recursive: true });
    writeFileSync(`${kept}.${process.pid}`, stdout);
    renameSync(`${kept}.${process.pid}`, kept);
  }
  return JSON.parse(readFileSync(kept, 'utf8'));
}
