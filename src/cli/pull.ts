import type { Services } from '../app.ts';
import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';
import { findModel, modelArgument } from './find-model.ts';
import { downloadProgress } from './progress.ts';

export const pull: Command = {
  name: 'pull',
  summary: 'download a model',
  usage: 'pull ID [--verify]',
  maxArguments: 1,
  options: {
    verify: {
      type: 'boolean',
      description: 'Check the files of an installed model and download the wrong ones again.',
    },
  },
  async run(context) {
    const reference = modelArgument(context);
    const services = await context.services();
    const model = await findModel(services.library, reference);
    await pullModel(context, services, model.id, { verify: context.flags.verify === true });
    const { downloaded, ready, reason } = (await services.library.find(model.id))!;
    if (context.terminal.json) context.terminal.out.write(`${JSON.stringify({ id: model.id, downloaded, ready })}\n`);
    else context.terminal.out.write(`The model ${model.id} is installed.\n`);
    if (!ready && !context.terminal.quiet) context.terminal.err.write(`It cannot be used yet: ${reason}\n`);
  },
};

/** Downloads a model with progress on stderr. Throws the error of a failed or cancelled download. */
export async function pullModel(
  context: CommandContext,
  { downloads }: Services,
  id: string,
  { verify = false } = {},
): Promise<void> {
  const { terminal, signal } = context;
  let last = await downloads.start(id, { verify });
  const abort = (): void => void downloads.cancel(id, { keep: true });
  signal.addEventListener('abort', abort, { once: true });
  const progress = downloadProgress(terminal);
  try {
    for await (const status of downloads.watch(id)) {
      progress.show(status);
      last = status;
    }
  } finally {
    progress.stop();
    signal.removeEventListener('abort', abort);
  }
  if (last.status === 'cancelled') throw new AsrproError('download_cancelled', 'The download was cancelled.');
  if (last.error) throw new AsrproError(last.error.code, last.error.message);
}
