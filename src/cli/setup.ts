import type { Services } from '../app.ts';
import { type EnvironmentId, enginesIn, environmentIds, firstEnvironment, isEnvironmentId } from '../engine-table.ts';
import type { InstallStatus } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';

export const setup: Command = {
  name: 'setup',
  summary: `install engines: ${environmentIds.map((id) => `${id} (${enginesIn(id).join(', ')})`).join(' or ')}`,
  usage: `setup [${environmentIds.join('|')}] [--reinstall]`,
  options: {
    reinstall: { type: 'boolean', description: 'Make the engine anew, also where it seems to be in order.' },
  },
  async run(context) {
    const [id = firstEnvironment] = context.positionals;
    if (!isEnvironmentId(id)) {
      throw new AsrproError('usage', `There is no engine ${id}.`, {
        hint: `Choose one of: ${environmentIds.join(', ')}.`,
      });
    }
    const services = await context.services();
    const { installed, incomplete } = await services.engines.status(id);
    const reinstall = context.flags.reinstall === true;
    if (!installed || incomplete !== null || reinstall) await setupEngine(context, services, id, { reinstall });
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

/** Installs with progress on stderr. Throws what the installation ended with. */
export async function setupEngine(
  context: CommandContext,
  { engines }: Services,
  id: EnvironmentId,
  { reinstall = false } = {},
): Promise<void> {
  const { sizeBytes } = await engines.status(id);
  const say = (text: string): void => void (context.terminal.quiet || context.terminal.err.write(text));
  say(`Installing the engine ${id}, about ${Math.round(sizeBytes / 1e6)} MB ...\n`);
  await engines.install(id, { reinstall });
  const abort = (): void => void engines.cancel(id);
  context.signal.addEventListener('abort', abort, { once: true });
  let last: InstallStatus | undefined;
  for await (const status of engines.watch(id)) {
    if (status.step !== null && status.step !== last?.step) say(progressLine(status, context.terminal.animated));
    last = status;
  }
  context.signal.removeEventListener('abort', abort);
  if (context.terminal.animated) say('\r\x1b[K');
  if (last?.status === 'cancelled')
    throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
  if (last?.error) throw new AsrproError(last.error.code, last.error.message);
  say(`The engine ${id} is installed.\n`);
}

function progressLine({ step, packagesDone, packagesTotal }: InstallStatus, animated: boolean): string {
  const count = packagesTotal === null ? '' : `[${packagesDone}/${packagesTotal}] `;
  return animated ? `\r\x1b[K${count}${step}` : `${count}${step}\n`;
}
