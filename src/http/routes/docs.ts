import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { docsPage, docsPolicy } from '../docs/page.ts';
import { openapiDocument } from '../openapi.ts';
import { json, type Operation, operation } from '../operation.ts';

/** A browser cannot send the API key when it opens /docs, so it gets the page without one. The page then asks for the key. */
export function wantsPage({ method, url, headers }: FastifyRequest): boolean {
  return method === 'GET' && url.split('?')[0] === '/docs' && /\btext\/html\b/.test(headers.accept ?? '');
}

export function pageInto(reply: { header(name: string, value: string): unknown }): string {
  reply.header('content-type', 'text/html; charset=utf-8');
  reply.header('content-security-policy', docsPolicy);
  return docsPage;
}

/** The description of the API, for programs and for people. `others` are all other calls. */
export function docsRoutes(others: readonly Operation[], version: string): Operation[] {
  const routes: Operation[] = [
    operation({
      method: 'GET',
      path: '/openapi.json',
      summary: 'Describe the API',
      answers: [json(z.record(z.string(), z.unknown()), 'An OpenAPI 3.1 document.')],
      handler: async () => document(),
    }),
    operation({
      method: 'GET',
      path: '/docs',
      summary: 'Describe the API for people, with a form to try it',
      answers: [{ status: 200, description: 'An HTML page.', content: { 'text/html': z.string() } }],
      handler: async (_request, reply) => pageInto(reply),
    }),
  ];
  let cached: ReturnType<typeof openapiDocument> | undefined;
  const document = () => {
    cached ??= openapiDocument([...others, ...routes], version);
    return cached;
  };
  return routes;
}
