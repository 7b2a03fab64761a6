import { AsrproError } from '../errors.ts';
import { baseName, type TextField } from './upload.ts';

/** How the text of a form field is parsed. */
export type FieldKind = 'text' | 'list' | 'number' | 'boolean' | 'choice';

/**
 * Text fields of a multipart form as values by name, for validation. Clients spell a list as `a`, `a[]`, `a[0]`, a repeated
 * field, or one value with commas. Empty and unknown fields are dropped; the last of several single values counts.
 * A value that does not parse stays text, so that validation reports it. Throws `invalid_value` for a value that is too long.
 */
export function formValues(
  fields: readonly TextField[],
  kinds: Readonly<Record<string, FieldKind>>,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { name, value, truncated } of fields) {
    const base = baseName(name);
    const kind = Object.hasOwn(kinds, base) ? kinds[base] : undefined;
    if (kind === undefined || value.trim() === '') continue;
    if (truncated) throw new AsrproError('invalid_value', `The value of '${base}' is too long.`, { param: base });
    if (kind === 'list') values[base] = [...((values[base] as string[] | undefined) ?? []), ...items(value)];
    else values[base] = parsers[kind](value);
  }
  return values;
}

/** A part in UTF-16 can end in the middle of a character, which the worker's messages cannot carry. */
const parsers: Record<Exclude<FieldKind, 'list'>, (text: string) => unknown> = {
  text: (text) => text.toWellFormed(),
  choice: (text) => text.trim(),
  number: (text) => (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text.trim()) ? Number(text) : text),
  boolean: (text) => booleans.get(text.trim().toLowerCase()) ?? text,
};

const booleans = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

function items(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim().toWellFormed())
    .filter((item) => item !== '');
}
