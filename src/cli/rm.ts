import { createInterface } from 'node:readline/promises';
import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';

export const rm: Command = {
  name: 'rm',
  summary: "delete a model's files",
  usage: 'rm ID [--yes]',
  options: { yes: { type: 'boolean', short: 'y', description: 'Do not ask.' } },
  async run(context) {
    const [reference] = context.positionals;
    if (reference === undefined) throw new AsrproError('usage', 'Which model? `asrpro models` lists them.');
    const { library, downloads } = await context.services();
    const model = await library.find(reference);
    if (model === undefined) throw notDownloaded(reference);
    const { id, source } = model;
    // Those of another program stay, but not what a download of our own left before.
    const isOurs = model.downloaded && source !== 'huggingface-cache';
    const leftovers = !isOurs && (await downloads.hasLeftovers(id));
    if (!model.downloaded && !leftovers) throw notDownloaded(reference);
    const what = leftovers ? `what an unfinished download of ${id} left` : `the files of ${id}`;
    if (!(await agreed(context, `Delete ${what}? [y/N] `))) return;
    if (leftovers) await downloads.cancel(id, { keep: false });
    else await library.remove(id);
    if (context.terminal.json) context.terminal.out.write(`${JSON.stringify({ id, deleted: true })}\n`);
    else
      context.terminal.out.write(
        `${leftovers ? `What an unfinished download of ${id} left` : `The model ${id}`} is deleted.\n`,
      );
  },
};

function notDownloaded(reference: string): AsrproError {
  return new AsrproError('model_not_found', `The model '${reference}' is not downloaded.`);
}

/** A script has decided already; a person at a terminal is asked. */
async function agreed({ flags, terminal, signal }: CommandContext, question: string): Promise<boolean> {
  if (flags.yes === true || !terminal.interactive) return true;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(question, { signal })).trim());
  } finally {
    lines.close();
  }
}
