import path from 'node:path';
import type { Services } from '../app.ts';
import { lendHome } from '../config/home.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { nearest } from '../config/nearest.ts';
import { givenPath, resolvePaths } from '../config/paths.ts';
import { defaultConfig } from '../config/schema.ts';
import { errnoWords, homePlace, requireFolder } from '../disk-error.ts';
import { AsrproError, asAsrproError } from '../errors.ts';
import { createLog } from '../log.ts';
import { catalogueIds } from '../models/catalogue.ts';
import { version } from '../version.ts';
import type { Command, CommandContext, Terminal } from './command.ts';
import { commands } from './commands.ts';
import { commandHelp, overview } from './help.ts';
import { configOverrides, type Flags, parseOptions, splitCommand } from './options.ts';
import { listenForStop } from './signals.ts';
import { createTerminal } from './terminal.ts';

/** Runs one command line, without the program's name, and returns the exit code. */
export async function runCommandLine(args: string[], environment: NodeJS.ProcessEnv): Promise<number> {
  let command: Command | undefined;
  // There is no place left to report that stderr cannot be written.
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error) => onLostOutput(error, command));
  let terminal = createTerminal({ quiet: false, json: false }, environment);
  try {
    const { name, rest } = splitCommand(args, (one) => Object.hasOwn(commands, one));
    command = name === undefined ? undefined : await findCommand(name);
    const { flags, positionals } = parseOptions(rest, command?.options ?? {});
    terminal = createTerminal({ quiet: flags.quiet === true, json: flags.json === true }, environment);
    if (flags.version) terminal.out.write(`${version}\n`);
    else if (flags.help) terminal.out.write(command ? commandHelp(command) : overview(await allCommands()));
    else if (command) {
      refuseExtra(positionals, command);
      await runCommand(command, flags, positionals, terminal, environment);
    } else {
      terminal.err.write(overview(await allCommands()));
      return 2;
    }
    return 0;
  } catch (error) {
    return reportFailure(error, command, terminal);
  }
}

/**
 * A reader that closes the pipe (`asrpro models | head`) or dies must not make a command fail, and nothing that happens to
 * its output ends a gateway. A result that is lost otherwise, for example to a full disk, makes a command fail.
 */
function onLostOutput(error: NodeJS.ErrnoException, command: Command | undefined): void {
  if (error.code === 'EPIPE' || command?.longRunning) return;
  process.stderr.write(`asrpro: The output cannot be written: ${errnoWords(error)}.\n`);
  process.exit(1);
}

/** `asrpro rm a b` used to remove only a, without a word about b. */
function refuseExtra(positionals: readonly string[], { maxArguments, usage }: Command): void {
  const extra = maxArguments === undefined ? undefined : positionals[maxArguments];
  if (extra === undefined) return;
  throw new AsrproError('usage', `There is one argument too many: ${extra}`, { hint: `Usage: asrpro ${usage}` });
}

async function runCommand(
  command: Command,
  flags: Flags,
  positionals: string[],
  terminal: Terminal,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const { paths, loaded } = await configure(command, flags, environment);
  const log = createLog({ ...loaded.config.log, level: logLevel(command, loaded, terminal) });
  const stop = listenForStop(() => process.exit(1), environment);
  let services: Promise<Services> | undefined;
  const context: CommandContext = {
    config: loaded.config,
    ...{ paths, log, terminal, positionals, flags, environment },
    signal: stop.first,
    services() {
      services ??= import('../app.ts').then(({ buildServices }) =>
        buildServices({ ...context, mock: flags.mock === true, ...mockPace(flags) }),
      );
      return services;
    },
  };
  try {
    await command.run(context);
  } finally {
    await (await services)?.close();
    stop.dispose();
  }
}

function mockPace(flags: Flags): { mockPace?: number } {
  if (flags['mock-pace'] === undefined) return {};
  const mockPace = Number(flags['mock-pace']);
  if (mockPace >= 0) return { mockPace };
  throw new AsrproError('usage', '--mock-pace takes a number of seconds, for example 0.1.');
}

async function configure(command: Command, flags: Flags, environment: NodeJS.ProcessEnv) {
  const paths = resolvePaths(environment);
  lendHome(environment, paths.data);
  const fileRequired = typeof flags.config === 'string';
  if (fileRequired) paths.configFile = path.resolve(givenPath(flags.config as string, '--config', environment));
  if (command.withoutConfig) return { paths, loaded: { config: defaultConfig, sources: {} } };
  await requireFolder(homePlace(paths.data, environment));
  const overrides = configOverrides(flags, command.options);
  const origin = { file: paths.configFile, fileRequired, environment, flags: overrides, catalogueIds };
  return { paths, loaded: loadConfig(origin) };
}

/** A long-running program logs what it does; any other command logs only problems. */
function logLevel(command: Command, { config, sources }: LoadedConfig, terminal: Terminal) {
  if ((sources['log.level'] ?? 'default') !== 'default') return config.log.level;
  if (terminal.quiet) return 'error';
  return command.longRunning ? config.log.level : 'warn';
}

async function findCommand(name: string): Promise<Command> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load) return await load();
  const meant = nearest(name, Object.keys(commands));
  throw new AsrproError('usage', `There is no command ${name}${meant ? `; did you mean ${meant}?` : '.'}`, {
    hint: '`asrpro --help` lists the commands.',
  });
}

async function allCommands(): Promise<Command[]> {
  return await Promise.all(Object.values(commands).map((load) => load()));
}

/** Prints the error for a person, and returns its exit code. */
function reportFailure(thrown: unknown, command: Command | undefined, terminal: Terminal): number {
  const error = asAsrproError(thrown);
  const { code, message, hint } = error;
  if (command?.longRunning) terminal.out.write(`${JSON.stringify({ event: 'error', code, message, hint })}\n`);
  const red = (text: string) => (terminal.colour ? `\x1b[31m${text}\x1b[39m` : text);
  terminal.err.write(`${red('asrpro:')} ${message}\n${hint === null ? '' : `${hint}\n`}`);
  if (code === 'internal_error') terminal.err.write(`${(error.cause as Error)?.stack ?? error.cause}\n`);
  return error.kind.exitCode ?? 1;
}
