import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { Override } from '../config/load.ts';
import { nearest } from '../config/nearest.ts';
import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';

export type Flags = CommandContext['flags'];

/** Flags that every command takes. */
export const commonOptions = {
  config: { type: 'string', description: 'FILE. Use this configuration file.' },
  json: { type: 'boolean', description: 'Print results as JSON.' },
  quiet: { type: 'boolean', short: 'q', description: 'Print only errors, no progress.' },
  'log-level': {
    type: 'string',
    config: 'log.level',
    description: 'LEVEL. trace, debug, info, warn, error or silent.',
  },
  help: { type: 'boolean', short: 'h', description: 'Show this help.' },
  version: { type: 'boolean', short: 'v', description: 'Print the version.' },
} satisfies Command['options'];

/**
 * Splits a command line into the command's name and the rest. Flags and their values may come before the name, also the
 * command's own: in `--port 9000 serve`, 9000 is no command.
 */
export function splitCommand(
  args: string[],
  isCommand: (name: string) => boolean,
): { name: string | undefined; rest: string[] } {
  const { tokens } = parseArgs({ args, options: bare(commonOptions), strict: false, tokens: true });
  const positionals = tokens.filter((token) => token.kind === 'positional');
  const name = positionals.find(({ value }) => isCommand(value)) ?? positionals[0];
  return name ? { name: name.value, rest: args.toSpliced(name.index, 1) } : { name: undefined, rest: args };
}

/** Throws `usage`; for an unknown flag the message suggests the nearest one. */
export function parseOptions(args: string[], options: Command['options']): { flags: Flags; positionals: string[] } {
  const all = { ...commonOptions, ...options };
  try {
    const { values, positionals } = parseArgs({ args, options: bare(all), allowPositionals: true });
    return { flags: values, positionals };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw error;
    const unknown = code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? /'(-[^']*)'/.exec(message)?.[1] : undefined;
    if (unknown === undefined) throw new AsrproError('usage', `${message.split('. ')[0]!.replace(/\.$/, '')}.`);
    const meant = nearest(
      unknown,
      Object.keys(all).map((name) => `--${name}`),
    );
    throw new AsrproError('usage', `There is no flag ${unknown}${meant ? `; did you mean ${meant}?` : '.'}`);
  }
}

/** The flags that override a key of the configuration. */
export function configOverrides(flags: Flags, options: Command['options']): Override[] {
  const overrides: Override[] = [];
  for (const [name, { config }] of Object.entries<Command['options'][string]>({ ...commonOptions, ...options })) {
    const value = flags[name];
    if (config === undefined || value === undefined || Array.isArray(value)) continue;
    overrides.push({ key: config, value, source: `flag --${name}` });
  }
  return overrides;
}

/** Removes the keys that parseArgs does not know. */
function bare(options: Command['options']): ParseArgsOptionsConfig {
  return Object.fromEntries(
    Object.entries(options).map(([name, { description: _, config: __, ...option }]) => [name, option]),
  );
}
