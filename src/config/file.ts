import { readFileSync, statSync } from 'node:fs';
import { errnoWords } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { withoutMark } from './foreign-file.ts';

/** The content of a configuration file: section, key, value. */
export type Sections = Record<string, Record<string, unknown>>;

/**
 * Reads the file and checks no more than its outer shape; empty when there is none and it is not `required`.
 * Throws `invalid_config`.
 */
export function readConfigFile(file: string, required = false): Sections {
  let bytes: Buffer;
  try {
    bytes = readBytes(file, required);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if ((code === 'ENOENT' || code === 'ENOTDIR') && !required) return {};
    throw new AsrproError('invalid_config', `The configuration file ${file} cannot be read: ${errnoWords(cause)}.`, {
      cause,
    });
  }
  // The ASCII letters of UTF-16 have zeros between them; a file of nothing but zeros is what a power loss leaves.
  const start = bytes.subarray(0, 4);
  if (start.includes(0) && start.some((byte) => byte !== 0)) {
    throw new AsrproError('invalid_config', `${file} is UTF-16 and not UTF-8.`, {
      hint: 'Save it as UTF-8; it was not changed.',
    });
  }
  let content: unknown;
  try {
    content = JSON.parse(withoutMark(bytes.toString('utf8')));
  } catch (cause) {
    throw new AsrproError('invalid_config', `${file} is not valid JSON: ${(cause as Error).message}.`, {
      cause,
      hint: 'Correct or remove the file; it was not changed.',
    });
  }
  if (!isObject(content)) {
    throw new AsrproError('invalid_config', `${file} holds no JSON object.`, { hint: 'An empty one is {}.' });
  }
  // Editors read `$schema`; it configures nothing.
  const { $schema: _, ...sections } = content;
  for (const [section, values] of Object.entries(sections)) {
    if (isObject(values)) continue;
    throw new AsrproError('invalid_config', `${section} (${file}): ${JSON.stringify(values)} is not an object.`, {
      param: section,
    });
  }
  return sections as Sections;
}

/** One that the user named may be a pipe, as in `--config <(…)`; at the usual place one would only block the start. */
function readBytes(file: string, named: boolean): Buffer {
  if (!named && statSync(file).isFIFO()) throw new Error('it is a pipe');
  return readFileSync(file);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
