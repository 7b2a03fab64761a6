/**
 * `npm run schema` writes config.schema.json and the table of docs/configuration.md from src/config/schema.ts. Tests fail
 * when either is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { configSchema } from '../../src/config/schema.ts';
import { settings } from '../../src/config/settings.ts';
import { checkout } from '../setup/checkout.ts';

export const schemaFile: string = path.join(checkout, 'config.schema.json');
export const configPage: string = path.join(checkout, 'docs', 'configuration.md');

export function configJsonSchema(): string {
  const { $schema, properties, ...schema } = z.toJSONSchema(configSchema, { io: 'input' });
  const whole = {
    $schema,
    title: 'asrpro configuration',
    ...schema,
    // Editors write this key to find the schema.
    properties: { $schema: { type: 'string' }, ...properties },
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** The page with the table that is generated from the schema. */
export function withConfigTable(page: string): string {
  const rows = settings.map(
    ({ key, default: value, description }) => `| \`${key}\` | \`${JSON.stringify(value)}\` | ${description} |`,
  );
  const table = ['| key | default | |', '|---|---|---|', ...rows].join('\n');
  return page.replace(/\| key \| default \|.*?\n\n/s, `${table}\n\n`);
}

if (import.meta.main) {
  writeFileSync(schemaFile, configJsonSchema());
  writeFileSync(configPage, withConfigTable(readFileSync(configPage, 'utf8')));
}
