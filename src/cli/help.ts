import type { Command } from './command.ts';
import { commonOptions } from './options.ts';

/** `asrpro --help` */
export function overview(commands: readonly Command[]): string {
  return [
    'asrpro turns audio files into text with a local model, behind the OpenAI API.',
    '',
    'Usage: asrpro COMMAND [ARGUMENT...] [FLAG...]',
    '',
    'Commands:',
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    '',
    'Flags of every command:',
    ...columns(flagRows(commonOptions)),
    '',
    '`asrpro COMMAND --help` describes a command. Every configuration key also has an environment variable.',
    '',
  ].join('\n');
}

/** `asrpro COMMAND --help` */
export function commandHelp(command: Command): string {
  const own = flagRows(command.options);
  return [
    `Usage: asrpro ${command.usage}`,
    '',
    `${command.name}: ${command.summary}.`,
    '',
    ...(own.length > 0 ? ['Flags:', ...columns(own), ''] : []),
    'Flags of every command:',
    ...columns(flagRows(commonOptions)),
    '',
  ].join('\n');
}

function flagRows(options: Command['options']): [string, string][] {
  return Object.entries(options).map(([name, { short, description }]) => [
    `${short ? `-${short}, ` : ''}--${name}`,
    description,
  ]);
}

function columns(rows: [string, string][]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${right}`);
}
