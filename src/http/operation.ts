import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** One call of the API: what is routed, and what /openapi.json says about it. */
export interface Operation {
  method: 'GET' | 'POST' | 'DELETE';
  /** OpenAPI template, for example `/v1/models/{model}`. */
  path: string;
  summary: string;
  description?: string;
  /** Meaning of the parameters in `path`. */
  parameters?: Record<string, z.ZodType>;
  query?: z.ZodObject;
  body?: { contentType: 'application/json' | 'multipart/form-data'; schema: z.ZodObject };
  answers: readonly Answer[];
  /** Statuses of its own mistakes; those that every call can have (401, 403, 500) are added. */
  errors?: readonly number[];
  /** Answered without an API key. */
  public?: boolean;
  handler(request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

export interface Answer {
  status: number;
  description: string;
  /** By media type. */
  content: Record<string, z.ZodType>;
}

/** The answer of most calls. */
export function json(schema: z.ZodType, description: string, status = 200): Answer {
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
