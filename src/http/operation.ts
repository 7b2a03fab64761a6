import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** One call of the API: what is routed, and what /openapi.json says about it. */
export interface Operation<Schema extends z.ZodType = z.ZodType, Sent = unknown, Reply = FastifyReply> {
  method: 'GET' | 'POST' | 'DELETE';
  /** OpenAPI template, for example `/v1/models/{model}`. */
  path: string;
  summary: string;
  description?: string;
  /** Meaning of the parameters in `path`. */
  parameters?: Record<string, z.ZodType>;
  query?: z.ZodObject;
  body?: { contentType: 'application/json' | 'multipart/form-data'; schema: z.ZodObject };
  /** The first is the usual one: its status is sent with what the handler returns. */
  answers: readonly [Answer<Schema>, ...Answer<Schema>[]];
  /** Statuses of its own mistakes; those that every call can have (401, 403, 405, 500) are added. */
  errors?: readonly number[];
  /** Answered without an API key. */
  public?: boolean;
  /** What it returns is checked against the schema when this is compiled; so no answer is described otherwise than it is. */
  handler(request: FastifyRequest, reply: Reply): Promise<z.input<Schema> | Sent>;
}

/** What a handler may do to its answer besides returning it. Without `send`, whose argument no type would check. */
export interface Head {
  readonly raw: FastifyReply['raw'];
  header(name: string, value: string): unknown;
}

/** Ties a handler to its schemas. */
export function operation<Schema extends z.ZodType>(call: Operation<Schema, never, Head>): Operation {
  return call;
}

/** One that may send its answer by itself, in pieces. */
export function streamingOperation<Schema extends z.ZodType>(call: Operation<Schema, FastifyReply>): Operation {
  return call;
}

export interface Answer<Schema extends z.ZodType = z.ZodType> {
  status: number;
  description: string;
  /** By media type. */
  content: Record<string, Schema>;
}

/** The answer of most calls. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string, status = 200): Answer<Schema> {
  return { status, description, content: { 'application/json': schema } };
}

/** Path parameter that the router has decoded. */
export function parameter(request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string>)[name] ?? '';
}

/** Methods that a path has, in the order of `operations`; empty for an unknown path. */
export function allowedMethods(operations: readonly Operation[], path: string): string[] {
  const methods = operations.filter((operation) => matches(operation.path, path)).map(({ method }) => method);
  return methods.includes('GET') ? ['GET', 'HEAD', ...methods.filter((method) => method !== 'GET')] : methods;
}

function matches(template: string, path: string): boolean {
  const wanted = template.split('/');
  const given = path.split('/');
  return wanted.length === given.length && wanted.every((part, at) => part.startsWith('{') || part === given[at]);
}
