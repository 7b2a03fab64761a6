import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from './checkout.ts';
import { pythonWithTools } from './python-tools.ts';
import { sharedHome } from './shared-home.ts';

export interface DirectAnswer {
  text: string;
  /** Highest of its segments; above 0 the engine drew at random, and answers otherwise the next time. */
  temperature: number;
}

const script = path.join(checkout, 'test', 'e2e', 'direct_faster_whisper.py');

/**
 * What faster-whisper answers when it is called directly, by file. It takes minutes and depends on nothing but the engine
 * environment, the script and the files, so it is kept beside the environments for as long as those are the same.
 */
export async function directAnswers(model: string, files: string[]): Promise<Record<string, DirectAnswer>> {
  const python = await pythonWithTools();
  const key = createHash('sha256').update(`${python}\n${model}\n`).update(readFileSync(script));
  for (const file of files) key.update(file).update(readFileSync(file));
  const kept = path.join(sharedHome, 'direct-answers', `${key.digest('hex').slice(0, 16)}.json`);
  if (!existsSync(kept)) {
    const { stdout } = await execa(python, [script, path.join(sharedHome, 'models', model), ...files]);
    mkdirSync(path.dirname(kept), { recursive: true });
    writeFileSync(`${kept}.${process.pid}`, stdout);
    renameSync(`${kept}.${process.pid}`, kept);
  }
  return JSON.parse(readFileSync(kept, 'utf8'));
}
