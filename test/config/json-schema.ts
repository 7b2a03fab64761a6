/** Writes config.schema.json from src/config/schema.ts: `npm run schema`. A test fails when the file is stale. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { configSchema } from '../../src/config/schema.ts';
import { checkout } from '../setup/checkout.ts';

export const schemaFile: string = path.join(checkout, 'config.schema.json');

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

if (import.meta.main) writeFileSync(schemaFile, configJsonSchema());
