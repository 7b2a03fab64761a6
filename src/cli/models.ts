import { modelJson } from '../models/model-json.ts';
import type { Command } from './command.ts';

export const models: Command = {
  name: 'models',
  summary: 'list the models',
  usage: 'models',
  options: {},
  async run(context) {
    const { library } = await context.services();
    const rows = await library.list();
    const { out, json } = context.terminal;
    if (json) {
      out.write(`${JSON.stringify({ object: 'list', data: rows.map((row) => modelJson(row, null)) }, null, 2)}\n`);
      return;
    }
    for (const { id, ready, engine, sizeBytes } of rows) {
      const size = sizeBytes === null ? '' : `${Math.round(sizeBytes / 1e6)} MB`;
      out.write(`${id.padEnd(32)} ${(ready ? 'ready' : '-').padEnd(6)} ${size.padStart(8)}  ${engine}\n`);
    }
  },
};
