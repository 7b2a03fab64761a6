import { modelJson } from '../models/model-json.ts';
import type { Command } from './command.ts';
import { findModel, modelArgument } from './find-model.ts';
import { megabytes } from './megabytes.ts';
import { languagesOf } from './models.ts';

export const show: Command = {
  name: 'show',
  summary: 'describe a model',
  usage: 'show ID',
  maxArguments: 1,
  options: {},
  async run(context) {
    const reference = modelArgument(context);
    const { library } = await context.services();
    const model = await findModel(library, reference);
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
      ['size', sizeBytes === null ? null : megabytes(sizeBytes)],
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
