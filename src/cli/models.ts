import type { Model } from '../models/model.ts';
import { modelJson } from '../models/model-json.ts';
import type { Command } from './command.ts';
import { megabytes } from './megabytes.ts';

export const models: Command = {
  name: 'models',
  summary: 'list the models',
  usage: 'models',
  maxArguments: 0,
  options: {},
  async run(context) {
    const { library } = await context.services();
    const rows = await library.list();
    const { out, json } = context.terminal;
    if (json) {
      out.write(`${JSON.stringify({ object: 'list', data: rows.map((row) => modelJson(row, null)) }, null, 2)}\n`);
      return;
    }
    const table = [['MODEL', 'STATE', 'SIZE', 'ENGINE', 'LANGUAGES'], ...rows.map(cells)];
    const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
    for (const row of table)
      out.write(
        `${row
          .map((cell, at) => cell.padEnd(widths[at]!))
          .join('  ')
          .trimEnd()}\n`,
      );
  },
};

function cells({ id, ready, downloaded, engine, sizeBytes, languages }: Model): string[] {
  const state = ready ? 'ready' : downloaded ? 'not usable' : '-';
  const size = sizeBytes === null ? '?' : megabytes(sizeBytes);
  return [id, state, size, engine, languagesOf(languages)];
}

/** Up to four languages by their codes, more as a number. */
export function languagesOf(languages: readonly string[] | null): string {
  if (languages === null) return '?';
  return languages.length > 4 ? `${languages.length} languages` : languages.join(', ');
}
