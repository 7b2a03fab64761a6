import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { docsPage, docsPolicy } from '../docs/page.ts';
import { openapiDocument } from '../openapi.ts';
import { json, type Operation, operation } from '../operation.ts';

/** A browser cannot send a key with an address: it gets the page, which holds no secret and asks for the key. */
export function wantsPage({ method, url, headers }: FastifyRequest): boolean {
  return method === 'GET' && url.split('?')[0] === '/docs' && /\btext\/html\b/.test(headers.accept ?? '');
}

export function pageInto(reply: { header(name: string, value: string): unknown }): string {
  reply.header('content-type', 'text/html; charset=utf-8');
  reply.header('content-security-policy', docsPolicy);
  return docsPage;
}

/** The API's description of itself. `others` are all other calls. */
export function docsRoutes(others: readonly Operation[], version: string): Operation[] {
  const routes: Operation[] = [
    operation({
      method: 'GET',
      path: '/openapi.json',
      summary: 'This description',
      answers: [json(z.record(z.string(), z.unknown()), 'An OpenAPI 3.1 document.')],
      handler: async () => document(),
    }),
    operation({
      method: 'GET',
      path: '/docs',
      summary: 'The same for people, with a form to try it',
      answers: [{ status: 200, description: 'A page.', content: { 'text/html': z.string() } }],
      handler: async (_request, reply) => pageInto(reply),
    }),
  ];
  let made: ReturnType<typeof openapiDocument> | undefined;
  const document = () => {
    made ??= openapiDocument([...others, ...routes], version);
    return made;
  };
  return routes;
}
