import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';
import { onTestFinished } from 'vitest';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { EngineStatus } from '../../src/engines/types.ts';
import { createModelLibrary } from '../../src/models/library.ts';
import type { ModelLibrary } from '../../src/models/model.ts';

const ready = { reason: null } as EngineStatus;
const notInstalled = { reason: 'The engine nemo is not installed: run `asrpro setup nemo`.' } as EngineStatus;

/** Log lines of the libraries of the running test. */
export const warnings: string[] = [];

export function libraryIn(home: string, models: object = {}, environment: NodeJS.ProcessEnv = {}): ModelLibrary {
  onTestFinished(() => void warnings.splice(0));
  return createModelLibrary({
    config: configSchema.parse({ models }),
    paths: resolvePaths({ ASRPRO_HOME: home }),
    log: pino({ level: 'warn' }, { write: (line) => void warnings.push(JSON.parse(line).msg) }),
    environment: { HF_HUB_CACHE: path.join(home, 'hub'), ...environment },
    engineStatus: async (id) => (id === 'nemo' ? notInstalled : ready),
  });
}

/** Creates a folder with these files. */
export function write(folder: string, files: Record<string, string>): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  return folder;
}

export const whisper = (english = false) => ({
  'model.bin': 'weights',
  'config.json': JSON.stringify({ suppress_ids_begin: [220, english ? 50256 : 50257] }),
  'tokenizer.json': '{}',
  'vocabulary.txt': 'a',
});
