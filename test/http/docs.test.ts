import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { call, transcribe } from '../setup/api.ts';
import { startBrowser } from '../setup/browser.ts';
import { audio } from '../setup/checkout.ts';
import { mockGateway } from './mock-gateway.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway();

test('the description has every call, and every schema that it refers to', async () => {
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

test('the description matches the headers of every answer and the answer to other methods', async () => {
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
    const { status } = await transcribe(gateway.url, audio('english/jfk.flac'), { model: 'mock-echo', language });
    // A language that the mock does not know is still a valid value.
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

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());

/**
 * Opens the page of a gateway and records its requests to other hosts and its errors. The tab stays open until the end,
 * because this Chromium exits with its last tab.
 */
async function openPage(url: string): Promise<{ page: Page; elsewhere: string[]; problems: string[] }> {
  const page = await browser.newPage();
  const elsewhere: string[] = [];
  const problems: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) elsewhere.push(request.url());
  });
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(`${url}/docs`);
  return { page, elsewhere, problems };
}

test('the page transcribes a file in a browser and loads nothing from other hosts', async () => {
  await using gateway = await mockGateway();
  const { page, elsewhere, problems } = await openPage(gateway.url);
  await page.locator('summary', { hasText: 'GET /health' }).click();
  expect(await page.locator('details[open] pre').first().textContent()).toContain('uptime_seconds');
  await page.locator('#file').setInputFiles(audio('english/jfk.flac'));
  await page.locator('#model').selectOption('mock-echo');
  await page.locator('#send').click();
  await page.locator('#text[data-done="1"]').waitFor();
  const fields = { model: 'mock-echo', response_format: 'text' };
  const direct = (await transcribe(gateway.url, audio('english/jfk.flac'), fields)).text;
  expect(await page.locator('#text').textContent()).toBe(direct.trim());
  await page.locator('#format').selectOption('words');
  await page.locator('#send').click();
  await page.locator('#text[data-done="2"]').waitFor();
  expect(await page.locator('#text').textContent()).toMatch(/^00:00\.\d\d {2}\d\d:\d\d\.\d\d {2}This\n/);
  await page.locator('#model').selectOption('mock-busy');
  await page.locator('#send').click();
  await page.locator('#text[data-done="3"][data-failed]').waitFor();
  expect(await page.locator('#text').textContent()).toContain('busy');
  expect(elsewhere).toEqual([]);
  expect(problems.filter((text) => !text.includes('503'))).toEqual([]);
});

test('the page shows text while it arrives, and can cancel a running request', async () => {
  await using gateway = await mockGateway();
  const { page } = await openPage(gateway.url);
  await page.locator('#file').setInputFiles(audio('english/jfk.flac'));
  await page.locator('#model').selectOption('mock-slow');
  await page.locator('#send').click();
  await page.locator('#text', { hasText: /\w/ }).waitFor();
  await page.locator('#stage', { hasText: /^transcribing, \d+ s$/ }).waitFor();
  await page.locator('#cancel').click();
  await page.locator('#text[data-done="1"][data-failed]').waitFor();
  expect(await page.locator('#text').textContent()).toBe('Cancelled.');
  await expect.poll(() => gateway.services.residency.health().queue.running).toBe(0);
});

test('the page downloads a model, loads it, and shows the loaded model', async () => {
  await using gateway = await mockGateway();
  const { page, problems } = await openPage(gateway.url);
  const row = page.locator('tr[data-model="mock-download"]');
  await row.getByRole('button', { name: 'Download' }).click();
  await row.getByRole('button', { name: 'Load' }).click();
  await page.locator('#state', { hasText: 'mock-download on cpu' }).waitFor();
  expect(await row.textContent()).toContain('loaded');
  await page.locator('#unload').click();
  await page.locator('#state', { hasText: 'no model loaded' }).waitFor();
  expect(problems).toEqual([]);
});

test('with a required API key a browser gets the page, which asks for the key, and programs get the error', async () => {
  await using gateway = await mockGateway({ server: { apiKey: 'sk-0123456789' } });
  expect((await call(gateway.url, '/docs')).json.error.message).toContain('API key');
  const { page } = await openPage(gateway.url);
  expect(await page.locator('#models tr').count()).toBe(0);
  for (const key of ['wrong-one', 'sk-0123456789']) {
    await page.locator('#key').fill(key);
    await page.getByRole('button', { name: 'Use key' }).click();
    if (key === 'wrong-one') await page.locator('#refused', { hasText: 'Incorrect API key' }).waitFor();
  }
  await page.locator('#models tr').first().waitFor();
  expect(await page.locator('#access').isVisible()).toBe(false);
});

test.each([360, 1200])('the page fits into a window of %i pixels, light and dark', async (width) => {
  await using gateway = await mockGateway();
  const { page } = await openPage(gateway.url);
  await page.locator('#calls details').first().waitFor();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  }
});
