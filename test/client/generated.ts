/**
 * Writes src/client/api-types.ts, the types of asrpro/client, from the schemas of the API. `npm run schema`; a test fails
 * when it is stale.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { HttpServerDeps } from '../../src/http/deps.ts';
import { openapiDocument } from '../../src/http/openapi.ts';
import { operations } from '../../src/http/routes/all.ts';
import { checkout } from '../setup/checkout.ts';

export const typesFile: string = path.join(checkout, 'src', 'client', 'api-types.ts');

interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  description?: string;
}

export function clientTypes(): string {
  // Only the handlers use services, and no handler is called here.
  const document = openapiDocument(operations({} as HttpServerDeps), '');
  const { schemas } = document.components as { schemas: Record<string, Schema> };
  const types = Object.entries(schemas).map(
    ([name, schema]) => `${comment(schema, '')}export type ${nameOf(name)} = ${typeOf(schema, '')};\n`,
  );
  return `// Generated from the schemas of the API by \`npm run schema\`.\n\n${types.join('\n')}`;
}

/** `Error` is a class of JavaScript. */
function nameOf(name: string): string {
  return name === 'Error' ? 'ErrorAnswer' : name;
}

function typeOf(schema: Schema, indent: string): string {
  const { $ref, enum: values, anyOf, oneOf, type } = schema;
  if ($ref !== undefined) return nameOf($ref.split('/').at(-1)!);
  if ('const' in schema) return literal(schema.const);
  if (values) return values.map(literal).join(' | ');
  if (anyOf ?? oneOf) return (anyOf ?? oneOf)!.map((one) => typeOf(one, indent)).join(' | ');
  if (Array.isArray(type)) return type.map((one) => typeOf({ ...schema, type: one }, indent)).join(' | ');
  if (type === 'array') return arrayOf(typeOf(schema.items!, indent));
  if (type === 'object') return objectOf(schema, indent);
  return type === 'integer' ? 'number' : (type ?? 'unknown');
}

function objectOf({ properties, required = [], additionalProperties }: Schema, indent: string): string {
  if (properties === undefined) return `Record<string, ${typeOf(additionalProperties as Schema, indent)}>`;
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([key, schema]) => {
    const optional = required.includes(key) ? '' : '?';
    const name = /^\w+$/.test(key) ? key : literal(key);
    return `${comment(schema, inner)}${inner}${name}${optional}: ${typeOf(schema, inner)};\n`;
  });
  return `{\n${lines.join('')}${indent}}`;
}

function arrayOf(type: string): string {
  return type.includes(' | ') && !type.startsWith('{') ? `(${type})[]` : `${type}[]`;
}

function comment({ description }: Schema, indent: string): string {
  return description === undefined ? '' : `${indent}/** ${description} */\n`;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value);
}

if (import.meta.main) writeFileSync(typesFile, clientTypes());
