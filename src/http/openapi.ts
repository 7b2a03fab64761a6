import { z } from 'zod';
import { errorEnvelope } from './error-reply.ts';
import type { Answer, Operation } from './operation.ts';

type JsonSchema = Record<string, unknown>;
type Schemas = Record<string, JsonSchema>;

/** Statuses of errors that every call can answer with. */
const COMMON_ERRORS = [401, 403, 405, 500];

const MEANING: Record<number, string> = {
  400: 'Something in the request is wrong.',
  401: 'An API key is configured, and the request has none or a wrong one.',
  403: 'The Host or the Origin is not allowed.',
  404: 'The path, the model or the job does not exist.',
  405: 'The path exists, but not with this method.',
  413: 'The upload is too large.',
  500: 'The engine or the server failed.',
  503: 'The server cannot answer now; Retry-After says when to retry.',
};

const HEADERS = {
  'x-request-id': {
    description: 'Id of this answer; the log uses the same id.',
    required: true,
    schema: { type: 'string' },
  },
  'x-should-retry': {
    description: 'Sent when a retry cannot help; the SDKs obey it.',
    schema: { type: 'string', const: 'false' },
  },
  'retry-after': {
    description: 'Seconds to wait before a retry.',
    required: true,
    schema: { type: 'integer', minimum: 1, maximum: 60 },
  },
  allow: { description: 'The methods of the path.', required: true, schema: { type: 'string' } },
};

/**
 * The OpenAPI 3.1 document of the whole API, generated from the schemas that validate requests and type the answers.
 *
 * @param operations every routed call.
 */
export function openapiDocument(operations: readonly Operation[], version: string): JsonSchema {
  const schemas: Schemas = {};
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const operation of operations) {
    const { path, method } = operation;
    paths[path] = { ...paths[path], [method.toLowerCase()]: describe(operation, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'asrpro',
      version,
      description: 'Local speech to text with the OpenAI API. Every error has the same envelope.',
    },
    security: [{}, { apiKey: [] }],
    paths,
    components: { schemas, headers: HEADERS, securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
  };
}

function describe(operation: Operation, schemas: Schemas): JsonSchema {
  const { path, method, summary, description, answers, body } = operation;
  const parameters = [
    ...parametersOf(operation.parameters ?? {}, 'path', schemas),
    ...parametersOf(operation.query?.shape ?? {}, 'query', schemas),
  ];
  const errors = [...(operation.errors ?? []), ...COMMON_ERRORS].map((status) => [
    status,
    errorAnswer(status, schemas),
  ]);
  return {
    operationId: operationId(method, path),
    summary,
    ...(description === undefined ? {} : { description }),
    ...(operation.public ? { security: [{}] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { [body.contentType]: { schema: jsonSchema(body.schema, 'input', schemas) } },
          },
        }),
    responses: {
      ...Object.fromEntries(answers.map((answer) => [answer.status, answerOf(answer, schemas)])),
      ...Object.fromEntries(errors),
    },
  };
}

/** For example `getV1ModelsModel`; client generators name functions after it. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^a-z0-9]+/i).filter((word) => word !== '');
  return method.toLowerCase() + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
}

function parametersOf(types: Record<string, z.ZodType>, where: 'path' | 'query', schemas: Schemas): JsonSchema[] {
  return Object.entries(types).map(([name, type]) => ({
    name,
    in: where,
    required: where === 'path' || !type.safeParse(undefined).success,
    schema: jsonSchema(type, 'input', schemas),
  }));
}

function answerOf({ description, content }: Answer, schemas: Schemas): JsonSchema {
  const media = Object.entries(content).map(([type, schema]) => [
    type,
    { schema: jsonSchema(schema, 'output', schemas) },
  ]);
  return { description, headers: headers('x-request-id'), content: Object.fromEntries(media) };
}

function errorAnswer(status: number, schemas: Schemas): JsonSchema {
  return {
    description: MEANING[status] ?? 'An error.',
    headers: headers(
      'x-request-id',
      'x-should-retry',
      ...(status === 503 ? (['retry-after'] as const) : []),
      ...(status === 405 ? (['allow'] as const) : []),
    ),
    content: { 'application/json': { schema: jsonSchema(errorEnvelope, 'output', schemas) } },
  };
}

function headers(...names: (keyof typeof HEADERS)[]): JsonSchema {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** A schema with an id is stored in `schemas` and referenced; any other is written inline. */
function jsonSchema(type: z.ZodType, io: 'input' | 'output', schemas: Schemas): JsonSchema {
  const whole = z.toJSONSchema(type, { io }) as JsonSchema;
  const { $schema: _, $defs = {}, id, ...schema } = rewriteReferences(whole) as JsonSchema & { $defs?: Schemas };
  for (const [name, { id: __, ...definition }] of Object.entries($defs)) schemas[name] = definition;
  if (typeof id !== 'string') return schema;
  schemas[id] = schema;
  return { $ref: `#/components/schemas/${id}` };
}

function rewriteReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(rewriteReferences);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) =>
    key === '$ref'
      ? [key, String(value).replace('#/$defs/', '#/components/schemas/')]
      : [key, rewriteReferences(value)],
  );
  return Object.fromEntries(entries);
}
