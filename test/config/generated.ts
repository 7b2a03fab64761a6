/**
 * Writes what is generated from src/config/schema.ts: config.schema.json and the README's table. `npm run schema`; tests
 * fail when either is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { configSchema } from '../../src/config/schema.ts';
import { settings } from '../../src/config/settings.ts';
import { checkout } from '../setup/checkout.ts';

export const schemaFile: string = path.join(checkout, 'config.schema.json');
export const readmeFile: string = path.join(checkout, 'README.md');

export function configJsonSchema(): string {
  const { $schema, properties, ...schema } = z.toJSONSchema(configSchema, { io: 'input' });
  const whole = {
    $schema,
    title: 'asrpro configuration',
    ...schema,
    // What editors write to find this schema.
    properties: { $schema: { type: 'string' }, ...properties },
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** The README with its table as the schema says it. */
export function withConfigTable(readme: string): string {
  const rows = settings.map(
    ({ key, default: value, description }) => `| \`${key}\` | \`${JSON.stringify(value)}\` | ${description} |`,
  );
  const table = ['| key | default | |', '|---|---|---|', ...rows].join('\n');
  return readme.replace(/\| key \| default \|.*?\n\n/s, `${table}\n\n`);
}

if (import.meta.main) {
  writeFileSync(schemaFile, configJsonSchema());
  writeFileSync(readmeFile, withConfigTable(readFileSync(readmeFile, 'utf8')));
}
