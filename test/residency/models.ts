import type { ModelEngine } from '../../src/engine-table.ts';
import { mockCapabilities } from '../../src/mock/capabilities.ts';
import type { Model } from '../../src/models/model.ts';
import type { Loaded } from '../../src/wire/messages.ts';
import type { ExitReport } from '../../src/worker/exit.ts';

export function modelNamed(id: string, engine: ModelEngine = 'faster-whisper'): Model {
  return {
    id,
    name: id,
    description: '',
    engine,
    family: null,
    sizeBytes: 1,
    languages: ['en'],
    license: null,
    capabilities: mockCapabilities,
    source: 'catalogue',
    created: 0,
    downloaded: true,
    ready: true,
    reason: null,
    path: '/nonexistent',
    quantization: null,
    aliases: [],
  };
}

export function loadedFacts(concurrency = 1): Loaded {
  return {
    type: 'loaded',
    request: '1.1',
    device: 'cpu',
    compute_type: 'int8',
    threads: 1,
    concurrency,
    languages: ['en'],
    capabilities: {
      ...{ tasks: ['transcribe'], word_timestamps: true, logprobs: false, neutral: [] },
      ...{ prompt: true, temperature: true, hotwords: true, detects_language: true },
    },
    memory_bytes: 1,
    seconds: 0,
  };
}

export function exitOf(endedBy: ExitReport['endedBy']): ExitReport {
  return { code: null, signal: 'SIGKILL', endedBy, outOfMemory: false, lastWords: '' };
}
