import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** One call of the API: its route, its handler and its description in /openapi.json. */
export interface Operation<Schema extends z.ZodType = z.ZodType, Sent = unknown, Reply = FastifyReply> {
  method: 'GET' | 'POST' | 'DELETE';
  /** OpenAPI template, for example `/v1/models/{model}`. */
  path: string;
  summary: string;
  description?: string;
  /** Schemas of the parameters in `path`. */
  parameters?: Record<string, z.ZodType>;
  query?: z.ZodObject;
  body?: { contentType: 'application/json' | 'multipart/form-data'; schema: z.ZodObject };
  /** What the handler returns is sent with the status of the first answer. */
  answers: readonly [Answer<Schema>, ...Answer<Schema>[]];
  /** Statuses of its errors, besides those of every call (401, 403, 405, 500). */
  errors?: readonly number[];
  /** Needs no API key. */
  public?: boolean;
  /** The compiler checks the returned value against the schema, so that /openapi.json describes what is really sent. */
  handler(request: FastifyRequest, reply: Reply): Promise<z.input<Schema> | Sent>;
}

/** The part of a reply that a handler may use. `send` is left out, because the compiler cannot check its argument. */
export interface Head {
  readonly raw: FastifyReply['raw'];
  header(name: string, value: string): unknown;
}

/** Declares a call, with its handler's return type checked against its schema. */
export function operation<Schema extends z.ZodType>(call: Operation<Schema, never, Head>): Operation {
  return call;
}

/** Declares a call whose handler may send its answer itself, in chunks. */
export function streamingOperation<Schema extends z.ZodType>(call: Operation<Schema, FastifyReply>): Operation {
  return call;
}

export interface Answer<Schema extends z.ZodType = z.ZodType> {
  status: number;
  description: string;
  /** By media type. */
  content: Record<string, Schema>;
}

/** A JSON answer. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string, status = 200): Answer<Schema> {
  return { status, description, content: { 'application/json': schema } };
}

/** A path parameter, decoded by the router. */
export function parameter(request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string>)[name] ?? '';
}

/** The methods of a path, in the order of `operations`; empty for an unknown path. */
export function allowedMethods(operations: readonly Operation[], path: string): string[] {
  const methods = operations.filter((operation) => matches(operation.path, path)).map(({ method }) => method);
  return methods.includes('GET') ? ['GET', 'HEAD', ...methods.filter((method) => method !== 'GET')] : methods;
}

function matches(template: string, path: string): boolean {
  const wanted = template.split('/');
  const given = path.split('/');
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith('{') || part === given[at]);
}
