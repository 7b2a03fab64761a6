import path from 'node:path';
import type { Services } from '../app.ts';
import { defaultEnvironment, type EnvironmentId, enginesIn, environmentIds, isEnvironmentId } from '../engine-table.ts';
import type { InstallStatus } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';
import { megabytes } from './megabytes.ts';

export const setup: Command = {
  name: 'setup',
  summary: `install engines: ${environmentIds.map((id) => `${id} (${enginesIn(id).join(', ')})`).join(' or ')}`,
  usage: `setup [${environmentIds.join('|')}] [--reinstall] [--offline DIR | --download DIR]`,
  maxArguments: 1,
  options: {
    reinstall: { type: 'boolean', description: 'Install the engine again even if it looks intact.' },
    offline: {
      type: 'string',
      description: 'DIR. Install from a folder that --download has filled; needs no network.',
    },
    download: {
      type: 'string',
      description: 'DIR. Download the packages for another machine of this kind and install nothing.',
    },
  },
  async run(context) {
    const [id = defaultEnvironment] = context.positionals;
    if (!isEnvironmentId(id)) {
      throw new AsrproError('usage', `There is no engine ${id}.`, {
        hint: `Choose one of: ${environmentIds.join(', ')}.`,
      });
    }
    const { offline, download } = context.flags;
    if (offline !== undefined && download !== undefined) {
      throw new AsrproError('usage', '--offline and --download exclude each other.');
    }
    const services = await context.services();
    if (typeof download === 'string') return await downloadEngine(context, services, id, path.resolve(download));
    const wheels = typeof offline === 'string' ? path.resolve(offline) : null;
    const { installed, incomplete } = await services.engines.status(id);
    const reinstall = context.flags.reinstall === true;
    if (!installed || incomplete !== null || reinstall) await setupEngine(context, services, id, { reinstall, wheels });
    const status = await services.engines.status(id);
    const { python, packages, sizeBytes } = status;
    if (context.terminal.json) {
      context.terminal.out.write(
        `${JSON.stringify({ id, installed: status.installed, python, packages, size_bytes: sizeBytes })}\n`,
      );
    } else {
      const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
      context.terminal.out.write(`The engine ${id} is installed: ${versions.join(', ')}.\n`);
    }
  },
};

/** Installs an engine with progress on stderr. Throws the error of a failed or cancelled installation. */
export async function setupEngine(
  context: CommandContext,
  { engines }: Services,
  id: EnvironmentId,
  { reinstall = false, wheels = null }: { reinstall?: boolean; wheels?: string | null } = {},
): Promise<void> {
  const { sizeBytes } = await engines.status(id);
  const print = (text: string): void => void (context.terminal.quiet || context.terminal.err.write(text));
  print(`Installing the engine ${id}, about ${megabytes(sizeBytes)} ...\n`);
  await engines.install(id, { reinstall, wheels });
  const abort = (): void => void engines.cancel(id);
  context.signal.addEventListener('abort', abort, { once: true });
  let last: InstallStatus | undefined;
  for await (const status of engines.watch(id)) {
    if (status.step !== null && status.step !== last?.step) print(progressLine(status, context.terminal.animated));
    last = status;
  }
  context.signal.removeEventListener('abort', abort);
  if (context.terminal.animated) print('\r\x1b[K');
  if (last?.status === 'cancelled')
    throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
  if (last?.error) throw new AsrproError(last.error.code, last.error.message);
  print(`The engine ${id} is installed.\n`);
}

async function downloadEngine(
  { terminal, signal }: CommandContext,
  { engines }: Services,
  id: EnvironmentId,
  folder: string,
): Promise<void> {
  const print = (step: string): void => void (terminal.quiet || terminal.err.write(`${step}\n`));
  const { python } = await engines.download(id, folder, { signal, onProgress: print });
  if (terminal.json) terminal.out.write(`${JSON.stringify({ id, folder, python })}\n`);
  else
    terminal.out.write(
      `The packages of the engine ${id} for Python ${python} are in ${folder}. On the other machine: asrpro setup ${id} --offline DIR\n`,
    );
}

function progressLine({ step, packagesDone, packagesTotal }: InstallStatus, animated: boolean): string {
  const count = packagesTotal === null ? '' : `[${packagesDone}/${packagesTotal}] `;
  return animated ? `\r\x1b[K${count}${step}` : `${count}${step}\n`;
}
