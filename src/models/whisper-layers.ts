import { closeSync, constants, openSync, readSync } from 'node:fs';
import { statOf } from '../config/foreign-file.ts';
import type { Family } from '../engine-table.ts';

/** Layer counts of a Whisper model and the size of its vocabulary. OpenAI's own models have equal counts on both sides. */
export interface Layers {
  encoder: number;
  decoder: number;
  vocabulary: number | null;
}

/** Name, rank, up to four dimensions, type and size of a variable fit into this. */
const HEAD_BYTES = 512;
/** large-v3 has about 1500. */
const MOST_VARIABLES = 20_000;

/**
 * Reads the layer counts from CTranslate2's `model.bin`: a list of variables, each with its name and shape before its
 * numbers. Takes a few hundred small reads. null for any other file.
 */
export function layersOf(file: string): Layers | null {
  if (!statOf(file)?.isFile()) return null;
  try {
    const handle = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return readLayers(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    return null;
  }
}

function readLayers(handle: number): Layers | null {
  const head = Buffer.alloc(HEAD_BYTES);
  const read = (position: number): Buffer => head.subarray(0, readSync(handle, head, 0, HEAD_BYTES, position));
  const start = read(0);
  const nameEnd = 6 + start.readUInt16LE(4);
  if (!start.toString('latin1', 6, nameEnd).startsWith('WhisperSpec')) return null;
  const count = start.readUInt32LE(nameEnd + 4);
  const layers = { encoder: new Set<string>(), decoder: new Set<string>() };
  let vocabulary: number | null = null;
  let position = nameEnd + 8;
  for (let variable = 0; variable < Math.min(count, MOST_VARIABLES); variable += 1) {
    const bytes = read(position);
    const shape = 2 + bytes.readUInt16LE(0);
    const rank = bytes.readUInt8(shape);
    const name = bytes.toString('latin1', 2, shape - 1);
    const [, side, layer] = /^(encoder|decoder)\/layer_(\d+)\//.exec(name) ?? [];
    if (layer !== undefined) layers[side as 'encoder' | 'decoder'].add(layer);
    if (name === 'decoder/embeddings/weight') vocabulary = bytes.readUInt32LE(shape + 1);
    const size = shape + 1 + 4 * rank + 1;
    position += size + 4 + bytes.readUInt32LE(size);
  }
  const [encoder, decoder] = [layers.encoder.size, layers.decoder.size];
  return encoder === 0 || decoder === 0 ? null : { encoder, decoder, vocabulary };
}

/** Turbo and distilled models are Whisper models with most decoder layers removed. */
export function familyOf({ encoder, decoder }: Pick<Layers, 'encoder' | 'decoder'>): Family {
  if (decoder >= encoder) return 'whisper';
  return encoder === 32 && decoder === 4 ? 'turbo' : 'distil';
}

/** Attention heads and decoder layers of OpenAI's sizes: tiny, base, small, medium, large. */
const SIZES = [
  { heads: 6, layers: 4 },
  { heads: 8, layers: 6 },
  { heads: 12, layers: 12 },
  { heads: 16, layers: 24 },
  { heads: 20, layers: 32 },
];

/**
 * The family when the weights cannot be read, from `alignment_heads` in CTranslate2's config.json (pairs of layer and head).
 * They lie in the upper half of a full decoder; if none lies there for the size with that many heads, layers were removed.
 */
export function familyByHeads(heads: unknown): Family {
  const pairs = Array.isArray(heads) ? heads.filter((pair): pair is [number, number] => Array.isArray(pair)) : [];
  if (pairs.length === 0) return 'whisper';
  const layer = Math.max(...pairs.map(([one]) => one));
  const head = Math.max(...pairs.map(([, one]) => one));
  const size = SIZES.find(({ heads: most }) => head < most) ?? SIZES.at(-1)!;
  if (layer >= size.layers / 2) return 'whisper';
  return layer === 3 && size.layers >= 24 ? 'turbo' : 'distil';
}
