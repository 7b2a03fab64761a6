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
    const { library } = await context.services();
    const model = await library.find(reference);
    if (model === undefined || !model.downloaded) {
      throw new AsrproError('model_not_found', `The model '${reference}' is not downloaded.`);
    }
    if (!(await agreed(context, `Delete the files of ${model.id}? [y/N] `))) return;
    await library.remove(model.id);
    if (context.terminal.json) context.terminal.out.write(`${JSON.stringify({ id: model.id, deleted: true })}\n`);
    else context.terminal.out.write(`The model ${model.id} is deleted.\n`);
  },
};

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
