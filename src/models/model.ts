import type { Capabilities, Family, ModelEngine } from '../engine-table.ts';
import type { AsrproError } from '../errors.ts';
import type { FolderProblem } from './discovery.ts';

/** Where a row of the list comes from. asrpro deletes only files of `catalogue` and of `custom` hub repositories. */
export type ModelSource = 'catalogue' | 'huggingface-cache' | 'folder' | 'custom' | 'mock';

/** Names of OpenAI's models, which clients have built in. They mean the configured default model. */
export const OPENAI_NAMES: readonly string[] = [
  'whisper-1',
  'gpt-4o-transcribe',
  'gpt-4o-mini-transcribe',
  'gpt-transcribe',
];

/** One row of the model list. */
export interface Model {
  id: string;
  name: string;
  description: string;
  engine: ModelEngine;
  /** null: not known. */
  family: Family | null;
  /** Sum of its files; null where not known yet. */
  sizeBytes: number | null;
  /** ISO-639-1 codes; null: not known. */
  languages: string[] | null;
  /** SPDX name; null where the publisher states none. */
  license: string | null;
  /** What is known before the model is loaded; see `inForce` in the residency. */
  capabilities: Capabilities;
  source: ModelSource;
  /** Unix seconds: when it was installed, else when the catalogue was made. */
  created: number;
  /** All files are in place. */
  downloaded: boolean;
  /** The model can be loaded now: it is downloaded and complete, and its engine is installed. */
  ready: boolean;
  /** Why the model is not ready and what to do, as one sentence; null when it is ready. */
  reason: string | null;
  /** The engine found the files damaged at the last load. A load by name tries again; requests do not. */
  broken?: boolean;
  /** Absolute path to load; null when not downloaded. Never part of an HTTP answer. */
  path: string | null;
  /** onnx-asr: the file suffix. */
  quantization: string | null;
  /** Other names for the model: short names, hub names. */
  aliases: string[];
}

/** One list of all models: catalogue, found on this machine, and custom. */
export interface ModelLibrary {
  /** Every known model. Reads only what has changed on the disk since the last call. */
  list(): Promise<Model[]>;
  /** Whether any model can be loaded now. Stops at the first one. */
  anyReady(): Promise<boolean>;
  /**
   * By id, alias or hub name; undefined when unknown. Names of OpenAI's models mean the configured default. Reads only the
   * files of that model.
   */
  find(reference: string): Promise<Model | undefined>;
  /** The model that `models.default` names; undefined when there is no such model. */
  default(): Promise<Model | undefined>;
  /**
   * Deletes the files of a model that asrpro downloaded. The caller unloads it first. Throws `model_not_found`,
   * `model_not_deletable`.
   */
  remove(id: string): Promise<void>;
  /**
   * Records how a load ended; `failure` is null after a success. A model whose files the engine found damaged
   * (`model_broken`) is not ready until they change.
   */
  noteLoad(model: Model, failure: AsrproError | null): void;
  /** Folders that cannot be listed, so that the models in them are missing from the list. */
  problems(): FolderProblem[];
}
