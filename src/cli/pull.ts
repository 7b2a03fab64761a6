import type { Services } from '../app.ts';
import type { DownloadStatus } from '../downloads/types.ts';
import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';

export const pull: Command = {
  name: 'pull',
  summary: 'download a model',
  usage: 'pull ID',
  options: {},
  async run(context) {
    const [reference] = context.positionals;
    if (reference === undefined) throw new AsrproError('usage', 'Which model? `asrpro models` lists them.');
    const services = await context.services();
    const model = await services.library.find(reference);
    if (model === undefined) throw new AsrproError('model_not_found', `There is no model '${reference}'.`);
    await pullModel(context, services, model.id);
    const { downloaded, ready } = (await services.library.find(model.id))!;
    if (context.terminal.json) context.terminal.out.write(`${JSON.stringify({ id: model.id, downloaded, ready })}\n`);
    else context.terminal.out.write(`The model ${model.id} is installed.\n`);
  },
};

/** Downloads with progress on stderr. Throws what the download ended with. */
export async function pullModel(context: CommandContext, { downloads }: Services, id: string): Promise<void> {
  const { terminal, signal } = context;
  const say = (text: string): void => void (terminal.quiet || terminal.err.write(text));
  await downloads.start(id);
  const abort = (): void => void downloads.cancel(id, { keep: true });
  signal.addEventListener('abort', abort, { once: true });
  let last: DownloadStatus | undefined;
  let told = -1;
  for await (const status of downloads.watch(id)) {
    last = status;
    const percent = status.bytesTotal ? Math.floor((100 * status.bytesDone) / status.bytesTotal) : 0;
    if (percent >= told + (terminal.animated ? 1 : 10)) {
      told = percent;
      say(terminal.animated ? `\r\x1b[K${id} ${percent} %` : `${id} ${percent} %\n`);
    }
  }
  signal.removeEventListener('abort', abort);
  if (terminal.animated) say('\r\x1b[K');
  if (last?.status === 'cancelled') throw new AsrproError('download_cancelled', 'The download was cancelled.');
  if (last?.error) throw new AsrproError(last.error.code, last.error.message);
}
