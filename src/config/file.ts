import { readFileSync } from 'node:fs';
import { AsrproError } from '../errors.ts';

/** The content of a configuration file: section, key, value. */
export type Sections = Record<string, Record<string, unknown>>;

/**
 * Reads the file and checks no more than its outer shape; empty when there is none and it is not `required`.
 * Throws `invalid_config`.
 */
export function readConfigFile(file: string, required = false): Sections {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !required) return {};
    throw new AsrproError('invalid_config', `The configuration file ${file} cannot be read (${code}).`, { cause });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
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
    throw new AsrproError('invalid_config', `${section} (file): ${JSON.stringify(values)} is not an object.`, {
      param: section,
    });
  }
  return sections as Sections;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
