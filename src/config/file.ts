import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { errnoWords } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { entryExists, withoutMark } from './foreign-file.ts';

/** The content of a configuration file: section, key, value. */
export type Sections = Record<string, Record<string, unknown>>;

/**
 * Reads the file and checks only that it is a JSON object of objects. A missing file is an empty configuration, unless it is
 * `required`. Throws `invalid_config`.
 */
export function readConfigFile(file: string, required = false): Sections {
  let bytes: Buffer;
  try {
    bytes = readBytes(file, required);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const isDangling = code === 'ENOENT' && entryExists(file);
    // A link that leads nowhere is no missing file: the settings behind it, such as the API key, are wanted.
    if ((code === 'ENOENT' || code === 'ENOTDIR') && !required && !isDangling) return {};
    throw new AsrproError(
      'invalid_config',
      `The configuration file ${file} cannot be read: ${isDangling ? 'it is a link that leads nowhere' : errnoWords(cause)}.`,
      {
        cause,
      },
    );
  }
  // In UTF-16, every ASCII letter has a zero byte. A file with only zeros is not UTF-16: it was left by a power loss.
  const start = bytes.subarray(0, 4);
  if (start.includes(0) && start.some((byte) => byte !== 0)) {
    throw new AsrproError('invalid_config', `${file} is UTF-16 instead of UTF-8.`, {
      hint: 'Save it as UTF-8. asrpro did not change it.',
    });
  }
  if (!isUtf8(bytes)) {
    throw new AsrproError('invalid_config', `${file} is not UTF-8: it has letters in another encoding.`, {
      hint: 'Save it as UTF-8. asrpro did not change it.',
    });
  }
  let content: unknown;
  try {
    content = JSON.parse(withoutMark(bytes.toString('utf8')));
  } catch (cause) {
    throw new AsrproError('invalid_config', `${file} is not valid JSON: ${(cause as Error).message}.`, {
      cause,
      hint: 'Correct or remove the file. asrpro did not change it.',
    });
  }
  if (!isObject(content)) {
    throw new AsrproError('invalid_config', `${file} is not a JSON object.`, { hint: 'An empty configuration is {}.' });
  }
  // `$schema` is for editors only.
  const { $schema: _, ...sections } = content;
  for (const [section, values] of Object.entries(sections)) {
    if (isObject(values)) continue;
    throw new AsrproError('invalid_config', `${section} (${file}): ${JSON.stringify(values)} is not an object.`, {
      param: section,
    });
  }
  return sections as Sections;
}

/** A pipe is allowed with `--config <(…)` only; a pipe at the default path would block the start for ever. */
function readBytes(file: string, isFromFlag: boolean): Buffer {
  if (!isFromFlag && statSync(file).isFIFO()) throw new Error('it is a pipe');
  return readFileSync(file);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
