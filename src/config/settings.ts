import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One key of the configuration, with everything that is derived from its schema. */
export interface Setting {
  key: string;
  section: string;
  name: string;
  /** Environment variable that overrides it: `server.maxUploadBytes` is `ASRPRO_SERVER_MAX_UPLOAD_BYTES`. */
  environment: string;
  description: string;
  default: unknown;
  schema: z.ZodType;
}

export const settings: readonly Setting[] = Object.entries(configSchema.shape).flatMap(([section, group]) =>
  Object.entries(group.unwrap().shape).map(([name, schema]) => ({
    key: `${section}.${name}`,
    section,
    name,
    environment: environmentName(section, name),
    description: schema.description ?? '',
    default: schema.parse(undefined),
    schema,
  })),
);

/** Settings whose values are masked where several keys are shown, and never part of a message. */
export const SECRETS: ReadonlySet<string> = new Set(['server.apiKey', 'cluster.token']);

export const sections: readonly string[] = Object.keys(configSchema.shape);

export function findSetting(key: string): Setting | undefined {
  return settings.find((setting) => setting.key === key);
}

function environmentName(section: string, name: string): string {
  const words = name.replace(/[A-Z]/g, (letter) => `_${letter}`);
  return `ASRPRO_${section}_${words}`.toUpperCase();
}

type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object' | 'null';

interface JsonSchema {
  type?: JsonType | JsonType[];
  anyOf?: JsonSchema[];
  enum?: string[];
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  pattern?: string;
  format?: string;
}

/** The JSON types that a key accepts. */
export function jsonTypes(setting: Setting): Set<JsonType> {
  return new Set(typesOf(jsonSchema(setting)));
}

function typesOf({ type = [], anyOf = [] }: JsonSchema): JsonType[] {
  return [type, ...anyOf.map(typesOf)].flat();
}

/** The values that a key accepts, in words: "a whole number from 0 to 65535", "one of auto, json, text", "text or null". */
export function allowedValues(setting: Setting): string {
  return describe(jsonSchema(setting));
}

function jsonSchema(setting: Setting): JsonSchema {
  return z.toJSONSchema(setting.schema, { io: 'input' }) as JsonSchema;
}

function describe(schema: JsonSchema): string {
  if (schema.anyOf) return schema.anyOf.map(describe).join(' or ');
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  if (Array.isArray(schema.type)) return schema.type.map((type) => describe({ ...schema, type })).join(' or ');
  switch (schema.type) {
    case 'integer':
      return `a whole number${range(schema)}`;
    case 'number':
      return `a number${range(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list of ${schema.items?.type === 'string' ? 'texts' : 'objects'}`;
    case 'object':
      return 'an object';
    case 'null':
      return 'null';
    default:
      if (schema.format === 'uri') return 'an http or https address';
      return schema.pattern ? `text that matches ${schema.pattern}` : 'text';
  }
}

function range({ minimum, maximum = Number.MAX_SAFE_INTEGER, exclusiveMinimum }: JsonSchema): string {
  const bounded = maximum < Number.MAX_SAFE_INTEGER;
  if (exclusiveMinimum !== undefined) return ` greater than ${exclusiveMinimum}${bounded ? `, up to ${maximum}` : ''}`;
  if (minimum === undefined) return bounded ? ` up to ${maximum}` : '';
  return bounded ? ` from ${minimum} to ${maximum}` : ` from ${minimum}`;
}
