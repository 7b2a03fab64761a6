import { expect, test } from 'vitest';
import { mockCapabilities } from '../../src/mock/capabilities.ts';
import type { Model } from '../../src/models/model.ts';
import { checkRequest } from '../../src/transcription/check.ts';
import type { TranscriptionRequest } from '../../src/transcription/types.ts';

const german = { task: 'transcribe', language: 'de' } as TranscriptionRequest;
const knowing = (...languages: string[]) =>
  ({ id: 'found', capabilities: mockCapabilities, languages: languages.length > 0 ? languages : null }) as Model;

test('a language is refused by a model that knows others, not by one whose files do not say', () => {
  expect(() => checkRequest(german, knowing('en'))).toThrow(/does not know the language/);
  expect(() => checkRequest(german, knowing())).not.toThrow();
});
