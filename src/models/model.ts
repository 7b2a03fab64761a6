import type { Capabilities, Family, ModelEngine } from '../engine-table.ts';
import type { AsrproError } from '../errors.ts';
import type { FolderProblem } from './discovery.ts';

/** Where a row of the list comes from. Only files of `catalogue` and of `custom` hub repositories are ours to delete. */
export type ModelSource = 'catalogue' | 'huggingface-cache' | 'folder' | 'custom' | 'mock';

/** Names of OpenAI's models that clients have built in: they stand for the configured default. */
export const OPENAI_NAMES: readonly string[] = [
  'whisper-1',
  'gpt-4o-transcribe',
  'gpt-4o-mini-transcribe',
  'gpt-transcribe',
];

/** One row of the model list, whatever its origin. */
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
  /** SPDX name; null where its publisher states none. */
  license: string | null;
  /** As far as that is known before it is loaded; see `inForce` of the residency. */
  capabilities: Capabilities;
  source: ModelSource;
  /** Unix seconds: when it was installed, else when the catalogue was made. */
  created: number;
  /** All files are in place. */
  downloaded: boolean;
  /** Can be loaded now: downloaded, complete and its engine installed. */
  ready: boolean;
  /** Why it is not ready and what to do, as one sentence; null when ready. */
  reason: string | null;
  /** The engine found its files damaged when it last loaded them; whoever asks for it by name may try it again. */
  broken?: boolean;
  /** Absolute path to load; null when not downloaded. Never leaves the process. */
  path: string | null;
  /** onnx-asr: the file suffix. */
  quantization: string | null;
  /** Other names it answers to: short names, hub names. */
  aliases: string[];
}

/** The list of models: catalogue, discovered and custom, as one. */
export interface ModelLibrary {
  /** Every known model, sorted for people. What lies on the disk is looked at again only where it has changed. */
  list(): Promise<Model[]>;
  /** Whether some model can be loaded now. Stops at the first. */
  anyReady(): Promise<boolean>;
  /**
   * By id, alias or hub name; undefined when unknown. Names of OpenAI's models stand for the configured default. Looks at
   * the files of that model only, however many others there are.
   */
  find(reference: string): Promise<Model | undefined>;
  /** The id in `models.default`, resolved; undefined when it names nothing known. */
  default(): Promise<Model | undefined>;
  /** Deletes a model's own files. Throws `model_not_found`, `model_not_deletable`. The caller unloads it first. */
  remove(id: string): Promise<void>;
  /**
   * How a load ended; null: well. A model whose files the engine found damaged (`model_broken`) is not ready until they
   * change.
   */
  noteLoad(model: Model, failure: AsrproError | null): void;
  /** Folders that cannot be listed, so that models in them are missed. */
  problems(): FolderProblem[];
}
