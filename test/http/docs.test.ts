import chromium from '@sparticuz/chromium';
import { chromium as playwright } from 'playwright-core';
import { expect, test } from 'vitest';
import { call, transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { mockGateway } from './mock-gateway.ts';

test('the description names every call, with all schemas that it refers to', async () => {
  await using gateway = await mockGateway();
  const { json } = await call(gateway.url, '/openapi.json');
  expect(json.openapi).toBe('3.1.0');
  const calls = Object.entries(json.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method} ${path}`),
  );
  expect(calls).toEqual([
    'post /v1/audio/transcriptions',
    'post /v1/audio/translations',
    'get /v1/models',
    'get /v1/models/{model}',
    'delete /v1/models/{model}',
    'post /v1/models/{model}/download',
    'get /v1/models/{model}/download',
    'delete /v1/models/{model}/download',
    'get /v1/settings/model',
    'post /v1/settings/model',
    'delete /v1/settings/model',
    'get /v1/engines',
    'post /v1/engines/{engine}/install',
    'get /v1/engines/{engine}/install',
    'delete /v1/engines/{engine}/install',
    'get /v1/devices',
    'get /health',
    'get /openapi.json',
    'get /docs',
  ]);
  const references = JSON.stringify(json).matchAll(/"#\/components\/schemas\/(\w+)"/g);
  const known = Object.keys(json.components.schemas);
  for (const [, name] of references) expect(known).toContain(name);
});

test('what every answer carries, and what another method gets, is described as it is sent', async () => {
  await using gateway = await mockGateway();
  const { json } = await call(gateway.url, '/openapi.json');
  const { headers } = json.components;
  const described = (answer: { headers: Record<string, { $ref: string }> }): string[] =>
    Object.entries(answer.headers).map(([name, { $ref }]) => {
      expect(headers[$ref.split('/').at(-1)!]).toHaveProperty('schema');
      return name;
    });
  for (const methods of Object.values<object>(json.paths))
    for (const { responses } of Object.values<{ responses: Record<string, never> }>(methods as never)) {
      for (const [status, answer] of Object.entries(responses)) {
        expect(described(answer)).toContain('x-request-id');
        expect(described(answer).includes('x-should-retry')).toBe(Number(status) >= 400);
      }
      expect(described(responses['405']!)).toContain('allow');
    }
  const sent = await fetch(`${gateway.url}/v1/models`, { method: 'PUT' });
  expect(sent.status).toBe(405);
  expect(sent.headers.get('allow')).toBe('GET, HEAD');
  expect(sent.headers.get('x-should-retry')).toBe('false');
  expect(sent.headers.get('x-request-id')).toBeTruthy();
});

test.each(['en', 'EN', 'jv', 'Nb', 'iw', 'auto', 'AUTO'])(
  'language=%s is described as it is accepted',
  async (language) => {
    await using gateway = await mockGateway();
    const { status } = await transcribe(gateway.url, audio('english/jfk.flac'), { model: 'mock-echo', language });
    // What the mock does not know is understood, too.
    expect([200, 400]).toContain(status);
    const { json } = await call(gateway.url, '/openapi.json');
    const body = json.paths['/v1/audio/transcriptions'].post.requestBody.content['multipart/form-data'].schema;
    const allowed: { enum?: string[]; pattern?: string }[] = body.properties.language.anyOf;
    const accepts = (text: string): boolean =>
      allowed.some(({ enum: values, pattern }) => values?.includes(text) ?? new RegExp(pattern!).test(text));
    expect(accepts(language)).toBe(true);
    expect(accepts('english')).toBe(false);
  },
);

test('in a browser, the page turns a file into text and fetches nothing from elsewhere', {
  timeout: 60_000,
}, async () => {
  await using gateway = await mockGateway();
  const browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: [...chromium.args, '--disable-background-networking', '--disable-component-update'],
    headless: true,
  });
  try {
    const page = await browser.newPage();
    const requested: string[] = [];
    const problems: string[] = [];
    page.on('request', (request) => requested.push(request.url()));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(`${gateway.url}/docs`);
    await page.locator('summary', { hasText: 'GET /health' }).click();
    expect(await page.locator('details[open] pre').first().textContent()).toContain('uptime_seconds');
    await page.locator('#file').setInputFiles(audio('english/jfk.flac'));
    await page.locator('#model').selectOption('mock-echo');
    await page.locator('#send').click();
    await page.locator('#text[data-done="1"]').waitFor();
    const fields = { model: 'mock-echo', response_format: 'text' };
    const direct = (await transcribe(gateway.url, audio('english/jfk.flac'), fields)).text;
    expect(await page.locator('#text').textContent()).toBe(direct.trim());
    await page.locator('#model').selectOption('mock-busy');
    await page.locator('#send').click();
    await page.locator('#text[data-done="2"][data-failed]').waitFor();
    expect(await page.locator('#text').textContent()).toContain('busy');
    expect(requested.filter((url) => !url.startsWith(gateway.url) && !url.startsWith('data:'))).toEqual([]);
    expect(problems.filter((text) => !text.includes('503'))).toEqual([]);
  } finally {
    await browser.close();
  }
});
