import { readdirSync } from 'node:fs';
import path from 'node:path';
import { readJsonObject, readText, statOf, whyUnreadable } from '../config/foreign-file.ts';
import type { EngineId, Family } from '../engine-table.ts';
import { languageCodes } from './languages.ts';
import { familyByHeads, familyOf, layersOf } from './whisper-layers.ts';

/** What model a folder holds, judged by the names and first bytes of its files. */
export interface Recognised {
  engine: EngineId;
  /** null where the files do not say. */
  family: Family | null;
  /** The path to load: the folder, or the `.nemo` file in it. */
  path: string;
  sizeBytes: number;
  /** ISO-639-1 codes; null where the files do not say. */
  languages: string[] | null;
  /** onnx-asr: the file suffix; null for unquantized files. */
  quantization: string | null;
  /** Why it cannot be loaded, as one sentence; null when every needed file exists. */
  reason: string | null;
  /** Absolute paths of the files that this result depends on, besides the names in the folder. */
  files: string[];
}

/** A folder that may hold a model. */
interface Folder {
  place: string;
  names: string[];
  /** Content of config.json; null: it is missing or is not a JSON object. */
  config: Record<string, unknown> | null;
}

/** One recogniser for each engine; each returns null for a folder that is not its own. The first match wins. */
const recognisers: Record<EngineId, (folder: Folder) => Recognised | null> = {
  nemo: nemoFolder,
  'onnx-asr': onnxFolder,
  'faster-whisper': ctranslate2Folder,
  'parakeet-mlx': mlxFolder,
};

/** `model_type` of the GigaAM models, which all know only Russian. */
const GIGAAM = 'gigaam';

/** A kind of ONNX export: `model_type` of its config.json, its graphs without quantization, and its vocabulary. */
interface OnnxKind {
  type: string;
  family: Family;
  graphs: string[];
  tokens: string[];
}

const transducer = { graphs: ['encoder-model', 'decoder_joint-model'], tokens: ['vocab.txt'] };

/** Several kinds can share one type, because one repository holds them all. The first kind whose graphs exist wins. */
const ONNX_KINDS: OnnxKind[] = [
  { type: 'nemo-conformer-ctc', family: 'ctc', graphs: ['model'], tokens: ['vocab.txt'] },
  { type: 'nemo-conformer-rnnt', family: 'rnnt', ...transducer },
  { type: 'nemo-conformer-tdt', family: 'tdt', ...transducer },
  { type: 'nemo-conformer-aed', family: 'aed', graphs: ['encoder-model', 'decoder-model'], tokens: ['vocab.txt'] },
  {
    type: 'whisper',
    family: 'whisper',
    graphs: ['encoder_model', 'decoder_model_merged'],
    tokens: ['vocab.json', 'added_tokens.json'],
  },
  ...['v3_e2e', 'v3', 'v2'].flatMap((version): OnnxKind[] => {
    const parts = ['encoder', 'decoder', 'joint'].map((part) => `${version}_rnnt_${part}`);
    const vocabulary = (kind: string) => (version === 'v3_e2e' ? `v3_e2e_${kind}_vocab.txt` : `${version}_vocab.txt`);
    return [
      { type: GIGAAM, family: 'rnnt', graphs: parts, tokens: [vocabulary('rnnt')] },
      { type: GIGAAM, family: 'ctc', graphs: [`${version}_ctc`], tokens: [vocabulary('ctc')] },
    ];
  }),
];
/** The graph of this kind is called `model`, a name that any ONNX program may use. */
const CTC = 'nemo-conformer-ctc';
/** Token id in `suppress_ids_begin` of an English-only Whisper; in a multilingual model the id is one higher. */
const ENGLISH_END_OF_TEXT = 50256;
const ENGLISH_VOCABULARY = 51864;
/** First bytes of a file that was cloned without its content. */
const POINTER = 'version https://git-lfs';

/** null for a folder or file that is not a speech model. */
export function recognise(place: string): Recognised | null {
  if (place.endsWith('.nemo')) return nemoFile(place);
  const folder = { place, names: namesIn(place), config: readJsonObject(path.join(place, 'config.json')) };
  for (const recogniser of Object.values(recognisers)) {
    const recognised = recogniser(folder);
    if (recognised !== null) return recognised;
  }
  return null;
}

/**
 * The kind of an ONNX export. `config` is null for an unreadable config.json: a folder with all graphs of a kind is then
 * listed with that reason. It is undefined where there is no config.json: then the folder is not a model.
 */
function onnxKind(inside: string[], config: Record<string, unknown> | null | undefined): OnnxKind | null {
  const isComplete = ({ graphs }: OnnxKind): boolean =>
    graphs.every((graph) => inside.some((name) => graphPattern(graph).test(name)));
  if (config === null) return ONNX_KINDS.findLast((kind) => kind.type !== CTC && isComplete(kind)) ?? null;
  if (!inside.some((name) => name === 'onnx' || name.endsWith('.onnx'))) return null;
  const kinds = ONNX_KINDS.filter(({ type }) => config?.model_type === type);
  return kinds.find(isComplete) ?? kinds[0] ?? null;
}

function graphPattern(graph: string): RegExp {
  return new RegExp(`(?:^|/)${graph}(?:[._](\\w+))?\\.onnx$`);
}

function nemoFolder({ place, names }: Folder): Recognised | null {
  const name = names.find((one) => one.endsWith('.nemo'));
  return name === undefined ? null : nemoFile(path.join(place, name));
}

function nemoFile(file: string): Recognised {
  const base = { engine: 'nemo' as const, family: null, path: file, languages: null, quantization: null };
  return { ...base, sizeBytes: sizeOf(file), reason: damage(path.dirname(file), [path.basename(file)]), files: [file] };
}

function ctranslate2Folder({ place: folder, names, config }: Folder): Recognised | null {
  if (!names.includes('model.bin')) return null;
  const vocabulary = names.find((name) => /^vocabulary\.(txt|json)$/.test(name)) ?? 'vocabulary.txt';
  const needed = ['model.bin', 'config.json', 'tokenizer.json', vocabulary];
  return {
    engine: 'faster-whisper',
    ...ctranslate2Kind(path.join(folder, 'model.bin'), config),
    path: folder,
    sizeBytes: totalOf(folder, names),
    quantization: null,
    reason: damage(folder, needed) ?? wrongConfig(config),
    files: needed.map((name) => path.join(folder, name)),
  };
}

function ctranslate2Kind(
  weights: string,
  config: Record<string, unknown> | null,
): Pick<Recognised, 'family' | 'languages'> {
  const layers = layersOf(weights);
  const family = layers === null ? familyByHeads(config?.alignment_heads) : familyOf(layers);
  const begin = config?.suppress_ids_begin;
  return whisperKind(
    family,
    Array.isArray(begin) ? begin.includes(ENGLISH_END_OF_TEXT) : isEnglish(layers?.vocabulary),
  );
}

/** Whether a vocabulary of this size is English-only; null where the size is unknown. */
function isEnglish(vocabulary: unknown): boolean | null {
  return typeof vocabulary === 'number' ? vocabulary === ENGLISH_VOCABULARY : null;
}

/** @param english whether the model knows only English; null: unknown. */
function whisperKind(family: Family, english: boolean | null): Pick<Recognised, 'family' | 'languages'> {
  if (english) return { family: family === 'whisper' ? 'english-only' : family, languages: ['en'] };
  // A distilled model has the tokens of all languages but knows only those that it was distilled for.
  return { family, languages: english === null || family === 'distil' ? null : [...languageCodes] };
}

function onnxFolder({ place: folder, names, config }: Folder): Recognised | null {
  const inside = [...names, ...namesIn(path.join(folder, 'onnx')).map((name) => `onnx/${name}`)];
  const kind = onnxKind(inside, names.includes('config.json') ? config : undefined);
  if (kind === null) return null;
  const { type, family, graphs, tokens } = kind;
  const found = inside.map((name) => graphPattern(graphs[0]!).exec(name)).filter((match) => match !== null);
  // Prefer the unquantized files.
  const match = found.find((one) => one[1] === undefined) ?? found[0];
  const quantization = match?.[1] ?? null;
  const wanted = graphs.map((graph) => {
    const spelled = quantization === null ? [''] : [`.${quantization}`, `_${quantization}`];
    const present = spelled.flatMap((q) => [`${graph}${q}.onnx`, `onnx/${graph}${q}.onnx`]);
    return present.find((name) => inside.includes(name)) ?? `${graph}${spelled[0]}.onnx`;
  });
  const needed = ['config.json', ...wanted, ...tokens];
  return {
    engine: 'onnx-asr',
    ...(family === 'whisper' ? onnxWhisperKind(config) : { family, languages: type === GIGAAM ? ['ru'] : null }),
    path: folder,
    sizeBytes: totalOf(folder, inside),
    quantization,
    reason: damage(folder, needed) ?? wrongConfig(config),
    files: [path.join(folder, 'onnx'), ...needed.map((name) => path.join(folder, name))],
  };
}

function onnxWhisperKind(config: Record<string, unknown> | null): Pick<Recognised, 'family' | 'languages'> {
  const { vocab_size: vocabulary, encoder_layers: encoder, decoder_layers: decoder } = config ?? {};
  const counted = typeof encoder === 'number' && typeof decoder === 'number';
  return whisperKind(counted ? familyOf({ encoder, decoder }) : 'whisper', isEnglish(vocabulary));
}

/**
 * NeMo's configuration as JSON beside weights in MLX form. `model.safetensors` alone proves nothing: many programs use
 * it.
 */
function mlxFolder({ place: folder, names, config }: Folder): Recognised | null {
  const ofNemo = typeof config?.target === 'string' && config.target.startsWith('nemo.collections.asr.');
  if (!ofNemo || !names.includes('model.safetensors')) return null;
  const { durations } = (config.decoding ?? {}) as { durations?: unknown[] };
  const transducer: Family = durations?.length ? 'tdt' : 'rnnt';
  const needed = ['config.json', 'model.safetensors'];
  const quantized = 'Its weights are quantized, which parakeet-mlx cannot read: choose a model that is not.';
  return {
    engine: 'parakeet-mlx',
    family: 'joint' in config ? transducer : 'ctc',
    path: folder,
    sizeBytes: totalOf(folder, names),
    languages: null,
    quantization: null,
    reason: damage(folder, needed) ?? ('quantization' in config ? quantized : null),
    files: needed.map((name) => path.join(folder, name)),
  };
}

/** Describes the first file that is missing, empty, unreadable or only a Git LFS pointer; null when all are fine. */
function damage(folder: string, needed: string[]): string | null {
  for (const name of needed) {
    const file = path.join(folder, name);
    const stat = statOf(file);
    const unreadable = whyUnreadable(file, 'file');
    const missing = stat === null && unreadable?.includes('ENOENT');
    if (missing && name.includes('\uFFFD')) return 'The name of one of its files is not valid text: rename that file.';
    if (missing || (stat?.isFile() && stat.size === 0)) {
      return `Its file '${name}' is missing or empty: copy the whole model there.`;
    }
    if (unreadable !== null || stat === null)
      return `Its file '${name}' cannot be read: ${unreadable}. Fix that, or replace the file.`;
    if (stat.size < 1024 && readText(file)?.startsWith(POINTER)) {
      return `Its file '${name}' is only a Git LFS pointer: fetch its content with \`git lfs pull\`.`;
    }
  }
  return null;
}

/** Called after `damage` has checked that the file can be read. */
function wrongConfig(config: Record<string, unknown> | null): string | null {
  return config === null ? "Its file 'config.json' is not the JSON of a model: copy the whole model there." : null;
}

function totalOf(folder: string, names: string[]): number {
  return names.reduce((sum, name) => sum + sizeOf(path.join(folder, name)), 0);
}

/** 0 for anything that is not a regular file. */
function sizeOf(file: string): number {
  const stat = statOf(file);
  return stat?.isFile() ? stat.size : 0;
}

/** Empty for anything that is not a folder or cannot be listed. */
export function namesIn(folder: string): string[] {
  if (!statOf(folder)?.isDirectory()) return [];
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}
