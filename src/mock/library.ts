import type { Config } from '../config/schema.ts';
import { type Model, type ModelLibrary, OPENAI_NAMES } from '../models/model.ts';
import { modelNotFound } from '../models/not-found.ts';
import { mockCapabilities } from './capabilities.ts';
import { type Scenario, scenarios } from './scenarios.ts';

const LANGUAGES = ['de', 'en', 'es', 'fr', 'it', 'ja', 'ko', 'pt', 'ru', 'zh'];
/** Unix seconds of 2026-11-24, when this list was written. */
const CREATED = 1795478400;
const SIZE_BYTES = 64 * 1024 * 1024;

export interface MockLibrary extends ModelLibrary {
  /** Marks the model as downloaded. */
  install(id: string): void;
}

/** The scenarios as models. If the configured default is not a mock model, the default is mock-echo. */
export function createMockLibrary(config: Config): MockLibrary {
  const installed = new Set(scenarios.filter(({ download }) => download === 'installed').map(({ id }) => id));
  const broken = new Map<string, string>();
  const list = (): Model[] =>
    scenarios.map((scenario) => {
      const model = modelOf(scenario, installed.has(scenario.id));
      const reason = broken.get(scenario.id);
      return reason === undefined ? model : { ...model, ready: false, broken: true, reason };
    });
  const byId = (id: string): Model | undefined => list().find((model) => model.id === id);
  const fallback = (): Model | undefined =>
    config.models.default === null ? undefined : (byId(config.models.default) ?? byId('mock-echo'));

  return {
    list: async () => list(),
    anyReady: async () => list().some(({ ready }) => ready),
    find: async (reference) => (OPENAI_NAMES.includes(reference) ? fallback() : byId(reference)),
    default: async () => fallback(),
    noteLoad({ id }, failure) {
      if (failure === null) broken.delete(id);
      else if (failure.code === 'model_broken') broken.set(id, failure.message);
    },
    problems: () => [],
    install: (id) => void installed.add(id),
    async remove(id) {
      if (!installed.delete(id)) throw modelNotFound(id, { problem: 'is not downloaded' });
    },
  };
}

function modelOf(scenario: Scenario, downloaded: boolean): Model {
  return {
    id: scenario.id,
    name: scenario.id,
    description: scenario.description,
    engine: 'mock',
    family: null,
    sizeBytes: SIZE_BYTES,
    languages: LANGUAGES,
    license: null,
    capabilities: mockCapabilities,
    source: 'mock',
    created: CREATED,
    downloaded,
    ready: downloaded,
    reason: downloaded ? null : `Not downloaded. Download it with POST /v1/models/${scenario.id}/download.`,
    path: downloaded ? scenario.id : null,
    quantization: null,
    aliases: [],
  };
}
