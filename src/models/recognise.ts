import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { languageCodes } from './languages.ts';
import type { ModelEngine } from './model.ts';

/** What the files of a folder are, told by their names and first bytes. */
export interface Recognised {
  engine: ModelEngine;
  /** What to load: the folder, or the `.nemo` file in it. */
  path: string;
  sizeBytes: number;
  /** ISO-639-1 codes; empty where the files do not say. */
  languages: string[];
  /** onnx-asr: the file suffix; null for the plain one. */
  quantization: string | null;
  /** Why it cannot be loaded, as one sentence; null when all that is needed is there. */
  reason: string | null;
}

/** By `model_type` of an ONNX export's config.json, its graphs without quantization. */
const ONNX_GRAPHS: Record<string, string[]> = {
  'nemo-conformer-ctc': ['model'],
  'nemo-conformer-rnnt': ['encoder-model', 'decoder_joint-model'],
  'nemo-conformer-tdt': ['encoder-model', 'decoder_joint-model'],
  whisper: ['encoder_model', 'decoder_model_merged'],
};
/** Token that an English-only Whisper begins to suppress at; a multilingual one has one token more. */
const ENGLISH_END_OF_TEXT = 50256;
const ENGLISH_VOCABULARY = 51864;
/** A model's file that was cloned without its content. */
const POINTER = 'version https://git-lfs';

/** null for a folder (or file) that is no speech model. */
export function recognise(place: string): Recognised | null {
  if (place.endsWith('.nemo')) return nemoFile(place);
  const names = namesIn(place);
  const nemo = names.find((name) => name.endsWith('.nemo'));
  if (nemo !== undefined) return nemoFile(path.join(place, nemo));
  const config = readJson(path.join(place, 'config.json'));
  const onnx = typeof config?.model_type === 'string' ? ONNX_GRAPHS[config.model_type] : undefined;
  if (onnx !== undefined && names.some((name) => name.endsWith('.onnx') || name === 'onnx')) {
    return onnxFolder(place, names, config!, onnx);
  }
  if (names.includes('model.bin')) return ctranslate2Folder(place, names, config);
  return null;
}

function nemoFile(file: string): Recognised {
  const base = { engine: 'nemo' as const, path: file, languages: [], quantization: null };
  return { ...base, sizeBytes: sizeOf(file), reason: damage(path.dirname(file), [path.basename(file)]) };
}

function ctranslate2Folder(folder: string, names: string[], config: Record<string, unknown> | null): Recognised {
  const vocabulary = names.find((name) => /^vocabulary\.(txt|json)$/.test(name)) ?? 'vocabulary.txt';
  const begin = Array.isArray(config?.suppress_ids_begin) ? config.suppress_ids_begin : [];
  return {
    engine: 'faster-whisper',
    path: folder,
    sizeBytes: totalOf(folder, names),
    languages: begin.includes(ENGLISH_END_OF_TEXT) ? ['en'] : [...languageCodes],
    quantization: null,
    reason: damage(folder, ['model.bin', 'config.json', 'tokenizer.json', vocabulary]),
  };
}

function onnxFolder(folder: string, names: string[], config: Record<string, unknown>, graphs: string[]): Recognised {
  const inside = [...names, ...namesIn(path.join(folder, 'onnx')).map((name) => `onnx/${name}`)];
  const [first] = graphs;
  const found = inside.map((name) => new RegExp(`(?:^|/)${first}(?:[._](\\w+))?\\.onnx$`).exec(name)).filter(Boolean);
  // The plain one where there is a choice.
  const match = found.find((one) => one![1] === undefined) ?? found[0];
  const quantization = match?.[1] ?? null;
  const wanted = graphs.map((graph) => {
    const spelled = quantization === null ? [''] : [`.${quantization}`, `_${quantization}`];
    const present = spelled.flatMap((q) => [`${graph}${q}.onnx`, `onnx/${graph}${q}.onnx`]);
    return present.find((name) => inside.includes(name)) ?? `${graph}${spelled[0]}.onnx`;
  });
  const isWhisper = config.model_type === 'whisper';
  const tokens = isWhisper ? ['vocab.json', 'added_tokens.json'] : ['vocab.txt'];
  const english = config.vocab_size === ENGLISH_VOCABULARY;
  return {
    engine: 'onnx-asr',
    path: folder,
    sizeBytes: totalOf(folder, inside),
    languages: isWhisper ? (english ? ['en'] : [...languageCodes]) : [],
    quantization,
    reason: damage(folder, [...wanted, ...tokens]),
  };
}

/** The first file that is missing, empty or only a pointer to its content. */
function damage(folder: string, needed: string[]): string | null {
  for (const name of needed) {
    const file = path.join(folder, name);
    const size = sizeOf(file);
    if (size === 0) return `Its file '${name}' is missing or empty: put the whole model there.`;
    if (size < 1024 && head(file).startsWith(POINTER)) {
      return `Its file '${name}' is only a pointer of Git LFS: fetch its content with \`git lfs pull\`.`;
    }
  }
  return null;
}

function head(file: string): string {
  const handle = openSync(file, 'r');
  try {
    const start = Buffer.alloc(POINTER.length);
    return start.subarray(0, readSync(handle, start)).toString('latin1');
  } finally {
    closeSync(handle);
  }
}

function totalOf(folder: string, names: string[]): number {
  return names.reduce((sum, name) => sum + sizeOf(path.join(folder, name)), 0);
}

/** 0 for what is no file, or not there. */
function sizeOf(file: string): number {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat?.isFile() ? stat.size : 0;
}

export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}

function readJson(file: string): Record<string, unknown> | null {
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
