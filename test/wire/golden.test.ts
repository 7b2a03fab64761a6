import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import { decodeWorkerMessage, encodeMessage, ProtocolError } from '../../src/wire/codec.ts';
import { gatewayMessage, workerMessage } from '../../src/wire/messages.ts';

const GOLDEN = fileURLToPath(new URL('golden', import.meta.url));
const names = readdirSync(GOLDEN)
  .filter((file) => file.endsWith('.json'))
  .map((file) => path.basename(file, '.json'));
const types = [...gatewayMessage.options, ...workerMessage.options].map((option) => option.shape.type.value);
const fromWorker = new Set<string>(workerMessage.options.map((option) => option.shape.type.value));

const json = (name: string) => JSON.parse(readFileSync(path.join(GOLDEN, `${name}.json`), 'utf8'));
const frame = (name: string) => readFileSync(path.join(GOLDEN, `${name}.msgpack`));

describe('golden messages, shared with the Python side', () => {
  it('exist for every message', () => {
    const golden = new Set(names.map((name) => json(name).type));
    expect(types.filter((type) => !golden.has(type))).toEqual([]);
  });

  it.each(names.filter((name) => json(name).type !== undefined))('%s is read and written as in its file', (name) => {
    const message = json(name);
    const schema = fromWorker.has(message.type) ? workerMessage : gatewayMessage;
    expect(decode(frame(name))).toEqual(message);
    expect(schema.parse(message)).toEqual(message);
    expect(decode(encodeMessage(schema.parse(message)))).toEqual(message);
  });
});

it('an omitted field is omitted on the wire and not sent as null', () => {
  const { segment_timestamps: _left, ...message } = json('transcribe');
  const sent = decode(encodeMessage({ ...message, segment_timestamps: undefined }));
  expect(sent).not.toHaveProperty('segment_timestamps');
});

describe('a frame that is not a message', () => {
  it.each([
    ['no msgpack', new Uint8Array([0xc1])],
    ['no map', encodeMessage('hello' as never)],
    ['an unknown type', encodeMessage({ type: 'dance' } as never)],
    ['a missing field', encodeMessage({ type: 'cancelled' } as never)],
    ['a wrong type', encodeMessage({ type: 'cancelled', job: 7 } as never)],
    ['nothing at all', new Uint8Array()],
  ])('is refused: %s', (_name, bytes) => {
    expect(() => decodeWorkerMessage(bytes)).toThrow(ProtocolError);
  });
});
