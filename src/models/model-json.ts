import type { Model } from './model.ts';

/** A row of `GET /v1/models`: OpenAI's keys, then ours. */
export interface ModelJson {
  id: string;
  object: 'model';
  created: number;
  owned_by: 'asrpro';
  ready: boolean;
  name: string;
  description: string;
  engine: string;
  size_bytes: number | null;
  languages: string[];
  license: string | null;
  tasks: string[];
  downloaded: boolean;
  loaded: boolean;
  source: string;
  reason: string | null;
}

/** @param loaded id of the loaded model, or null. */
export function modelJson(model: Model, loaded: string | null): ModelJson {
  return {
    id: model.id,
    object: 'model',
    created: Math.floor(model.created),
    owned_by: 'asrpro',
    ready: model.ready,
    name: model.name,
    description: model.description,
    engine: model.engine,
    size_bytes: model.sizeBytes,
    languages: model.languages,
    license: model.license,
    tasks: [...model.capabilities.tasks],
    downloaded: model.downloaded,
    loaded: model.id === loaded,
    source: model.source,
    reason: model.reason,
  };
}
