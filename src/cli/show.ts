import { AsrproError } from '../errors.ts';
import { modelJson } from '../models/model-json.ts';
import type { Command } from './command.ts';
import { languagesOf } from './models.ts';

export const show: Command = {
  name: 'show',
  summary: 'describe a model',
  usage: 'show ID',
  options: {},
  async run(context) {
    const [reference] = context.positionals;
    if (reference === undefined) throw new AsrproError('usage', 'Which model? `asrpro models` lists them.');
    const { library } = await context.services();
    const model = await library.find(reference);
    if (model === undefined) throw new AsrproError('model_not_found', `There is no model '${reference}'.`);
    const { out, json } = context.terminal;
    if (json) {
      out.write(`${JSON.stringify(modelJson(model, null), null, 2)}\n`);
      return;
    }
    const { sizeBytes, capabilities, reason } = model;
    const lines: [string, string | null][] = [
      ['name', model.name],
      ['description', model.description],
      ['state', reason === null ? 'ready' : `not ready: ${reason}`],
      ['size', sizeBytes === null ? null : `${Math.round(sizeBytes / 1e6)} MB`],
      ['engine', model.engine],
      ['languages', languagesOf(model.languages)],
      ['tasks', capabilities.tasks.join(', ')],
      ['word times', capabilities.wordTimestamps ? 'yes' : 'no'],
      ['license', model.license],
      ['source', model.source],
      ['path', model.path],
      ['other names', model.aliases.join(', ') || null],
    ];
    out.write(`${model.id}\n`);
    for (const [label, text] of lines) if (text !== null) out.write(`  ${label.padEnd(12)} ${text}\n`);
  },
};
