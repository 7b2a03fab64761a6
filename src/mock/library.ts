import type { Config } from '../config/schema.ts';
import { AsrproError } from '../errors.ts';
import { type Model, type ModelLibrary, OPENAI_NAMES } from '../models/model.ts';
import { mockCapabilities } from './capabilities.ts';
import { type Scenario, scenarios } from './scenarios.ts';

const LANGUAGES = ['de', 'en', 'es', 'fr', 'it', 'ja', 'ko', 'pt', 'ru', 'zh'];
/** When the list was made, 2026-11-24, in Unix seconds. */
const CREATED = 1795478400;
const SIZE_BYTES = 64 * 1024 * 1024;

export interface MockLibrary extends ModelLibrary {
  /** The mock download has ended well. */
  install(id: string): void;
}

/** The scenarios as a list of models. The configured default stands for itself where it names one, else for mock-echo. */
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
      if (!installed.delete(id))
        throw new AsrproError('model_not_found', `There is no downloaded model '${id}'.`, { param: 'model' });
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
