import { expect, test } from 'vitest';
import { mockCapabilities } from '../../src/mock/capabilities.ts';
import type { Model } from '../../src/models/model.ts';
import { checkRequest, narrowed } from '../../src/transcription/check.ts';
import type { TranscriptionRequest } from '../../src/transcription/types.ts';

const german = { task: 'transcribe', language: 'de' } as TranscriptionRequest;
const knowing = (...languages: string[]) =>
  ({ id: 'found', capabilities: mockCapabilities, languages: languages.length > 0 ? languages : null }) as Model;

test('a model with known languages refuses other ones, and a model with unknown languages refuses none', () => {
  expect(() => checkRequest(german, knowing('en'))).toThrow(/does not know the language/);
  expect(() => checkRequest(german, knowing())).not.toThrow();
});

test('of several languages only those count that the model knows', () => {
  const asked = (...languages: string[]) => ({ ...german, language: null, languages }) as TranscriptionRequest;
  expect(narrowed(asked('de', 'en', 'fr'), knowing('en', 'fr'))).toMatchObject({
    language: null,
    languages: ['en', 'fr'],
  });
  expect(narrowed(asked('de', 'en'), knowing('en'))).toMatchObject({ language: 'en', languages: [] });
  expect(narrowed(asked('de', 'ja'), knowing())).toMatchObject({ language: null, languages: ['de', 'ja'] });
  expect(() => narrowed(asked('de', 'ja'), knowing('en'))).toThrow(/knows none of the languages 'de', 'ja'/);
});
