import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { findSetting, SECRETS, type Setting, settings } from '../config/settings.ts';
import { setConfigValue, unknownSetting } from '../config/store.ts';
import { AsrproError } from '../errors.ts';
import { catalogueIds } from '../models/catalogue.ts';
import type { Command, CommandContext } from './command.ts';

interface Action {
  arguments: number;
  run(context: CommandContext, ...args: string[]): void | Promise<void>;
}

const actions: Record<string, Action> = {
  path: { arguments: 0, run: ({ paths, terminal }) => void terminal.out.write(`${paths.configFile}\n`) },
  show: { arguments: 0, run: show },
  get: { arguments: 1, run: get },
  set: { arguments: 2, run: set },
  validate: { arguments: 0, run: validate },
};

export const config: Command = {
  name: 'config',
  summary: 'show, check and change the configuration file',
  usage: 'config path|show|get KEY|set KEY VALUE|validate',
  options: {},
  withoutConfig: true,
  async run(context) {
    const [name = '', ...args] = context.positionals;
    const action = Object.hasOwn(actions, name) ? actions[name]! : undefined;
    if (action?.arguments !== args.length) throw new AsrproError('usage', `Usage: asrpro ${config.usage}`);
    await action.run(context, ...args);
  },
};

/** Prints every key with its effective value and where that comes from. */
function show(context: CommandContext): void {
  const loaded = load(context);
  const rows = settings.map((setting) => ({
    key: setting.key,
    value: settingValue(withoutSecrets(loaded.config), setting),
    source: loaded.sources[setting.key]!,
  }));
  if (context.terminal.json) {
    const byKey = Object.fromEntries(rows.map(({ key, ...row }) => [key, row]));
    context.terminal.out.write(`${JSON.stringify(byKey, null, 2)}\n`);
    return;
  }
  for (const { key, value, source } of rows) {
    context.terminal.out.write(`${key.padEnd(28)} ${JSON.stringify(value).padEnd(28)} ${source}\n`);
  }
}

/** Prints the effective value of a key or a section as JSON. A secret is shown only when it is requested by its own key. */
function get(context: CommandContext, key: string): void {
  const { config } = load(context);
  const setting = findSetting(key);
  if (!setting && !Object.hasOwn(config, key)) throw unknownSetting(key);
  const value = setting ? settingValue(config, setting) : withoutSecrets(config)[key as keyof Config];
  context.terminal.out.write(`${JSON.stringify(value)}\n`);
}

async function set({ paths, terminal }: CommandContext, key: string, value: string): Promise<void> {
  await setConfigValue(paths.configFile, key, value, catalogueIds);
  if (!terminal.quiet) terminal.err.write(`Stored in ${paths.configFile}; restart a running server to apply it.\n`);
}

function validate(context: CommandContext): void {
  load(context);
  if (!context.terminal.quiet) context.terminal.err.write('The configuration is valid.\n');
}

function load({ paths, environment, flags }: CommandContext): LoadedConfig {
  const fileRequired = typeof flags.config === 'string';
  return loadConfig({ file: paths.configFile, fileRequired, environment, flags: [], catalogueIds });
}

/** Masks secrets where several keys are shown, because such output ends up in bug reports. */
function withoutSecrets(config: Config): Config {
  const masked = structuredClone(config) as Record<string, Record<string, unknown>>;
  for (const key of SECRETS) {
    const { section, name } = findSetting(key)!;
    if (masked[section]![name] !== null) masked[section]![name] = '***';
  }
  return masked as Config;
}

function settingValue(config: Config, { section, name }: Setting): unknown {
  return (config as Record<string, Record<string, unknown>>)[section]![name];
}
