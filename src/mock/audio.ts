import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { AsrproError, invalidFileFormat } from '../errors.ts';

export interface MockAudio {
  /** Seconds; exact for PCM WAV, otherwise estimated from the file size. */
  duration: number;
  /** The samples in the first 64 KiB are all zero (WAV only). */
  silent: boolean;
}

/** Assumed rate of compressed audio: 32 kbit/s. */
const COMPRESSED_BYTES_PER_SECOND = 4000;
const SHORTEST_SECONDS = 0.1;

/** First bytes of the common containers that the real worker decodes. */
const MAGIC = [
  /^fLaC/,
  /^OggS/,
  /^ID3/,
  /^\xff[\xe2-\xff]/,
  /^.E\xdf\xa3/s,
  /^.{4}ftyp/s,
  /^FORM.{4}AIF[FC]/s,
  /^caff/,
  /^\.snd/,
  /^#!AMR/,
  /^(?:wvpk|TTA1|MAC |DSD |RF64|riff|FLV|NIST_1A|nut\/|\.RMF)/,
  /^Creative Voice File/,
  /^RIFF.{4}AVI /s,
  // ASF, AC-3, MPEG program and transport streams, MXF
  /^(?:0&\xb2u|[^ -~]w[^ -~]|[^ -~]{3}\xba|[^ -~]{2}\+4)/,
  /^G.{187}G/s,
];

/**
 * Reads the start of the file, to refuse what the real worker refuses: no audio at all, or less than 0.1 s.
 * Throws `invalid_file_format`, `audio_too_short`.
 */
export function inspectAudio(file: string): MockAudio {
  const handle = openSync(file, 'r');
  try {
    const { size } = fstatSync(handle);
    const head = Buffer.alloc(64 * 1024);
    const read = readSync(handle, head, 0, head.length, 0);
    const audio = measure(head.subarray(0, read), size);
    if (audio.duration < SHORTEST_SECONDS) {
      throw new AsrproError('audio_too_short', 'The audio is shorter than the minimum of 0.1 seconds.', {
        param: 'file',
      });
    }
    return audio;
  } finally {
    closeSync(handle);
  }
}

function measure(head: Buffer, size: number): MockAudio {
  const text = head.toString('latin1');
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WAVE') {
    const bytesPerSecond = head.length >= 36 ? head.readUInt32LE(28) : 0;
    const data = text.indexOf('data', 36);
    if (bytesPerSecond > 0 && data > 0) {
      return {
        duration: (size - data - 8) / bytesPerSecond,
        silent: head.subarray(data + 8).every((byte) => byte === 0),
      };
    }
  } else if (MAGIC.some((magic) => magic.test(text))) {
    return { duration: Math.max(1, size / COMPRESSED_BYTES_PER_SECOND), silent: false };
  }
  throw invalidFileFormat();
}
