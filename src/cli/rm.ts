import { AsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';
import { confirm } from './confirm.ts';
import { findModel, modelArgument } from './find-model.ts';

export const rm: Command = {
  name: 'rm',
  summary: "delete a model's files",
  usage: 'rm ID [--yes]',
  maxArguments: 1,
  options: { yes: { type: 'boolean', short: 'y', description: 'Do not ask.' } },
  async run(context) {
    const reference = modelArgument(context);
    const { library, downloads } = await context.services();
    const { id, source, downloaded } = await findModel(library, reference);
    // Keep a copy in the shared cache, but remove what an unfinished download of asrpro left.
    const isOurs = downloaded && source !== 'huggingface-cache';
    const leftovers = !isOurs && (await downloads.hasLeftovers(id));
    if (!downloaded && !leftovers) {
      throw new AsrproError('model_not_found', `The model '${reference}' is not downloaded.`);
    }
    const what = leftovers ? `the unfinished download of ${id}` : `the files of ${id}`;
    if (!(await isConfirmed(context, `Delete ${what}? [y/N] `))) return;
    if (leftovers) await downloads.cancel(id, { keep: false });
    else await library.remove(id);
    if (context.terminal.json) context.terminal.out.write(`${JSON.stringify({ id, deleted: true })}\n`);
    else
      context.terminal.out.write(`${leftovers ? `The unfinished download of ${id}` : `The model ${id}`} is deleted.\n`);
  },
};

/** Asks a person at a terminal; a script is not asked. */
async function isConfirmed({ flags, terminal, signal }: CommandContext, question: string): Promise<boolean> {
  if (flags.yes === true || !terminal.interactive) return true;
  return await confirm(question, { input: process.stdin, output: process.stderr, signal });
}
