import { expect, test } from 'vitest';
import { defaultConfig } from '../../src/config/schema.ts';
import type { Model, ModelLibrary } from '../../src/models/model.ts';
import { inForce } from '../../src/residency/describe.ts';
import type { State } from '../../src/residency/state.ts';
import { createTranscriptionService } from '../../src/transcription/service.ts';
import type { TranscriptionRequest } from '../../src/transcription/types.ts';
import { modelNamed, stage } from './stage.ts';

/** As its files say: it translates, has word times, and nobody knows its languages. */
const asRecognised: Model = { ...modelNamed('mine'), languages: null };

test('what a model can do is what its files say, and from the load on what its worker says', async () => {
  await using current = stage('until-told');
  const { residency } = current;
  expect(residency.inForce(asRecognised)).toBe(asRecognised);
  await residency.load(asRecognised);
  const inForce = residency.inForce(asRecognised);
  expect(inForce.capabilities).toEqual({ tasks: ['transcribe'], wordTimestamps: false, logprobs: false });
  expect(inForce.languages).toEqual(['en']);
  expect(residency.inForce(modelNamed('other')).capabilities.tasks).toContain('translate');
  await residency.unload();
  expect(residency.inForce(asRecognised)).toBe(asRecognised);
});

test('a loaded turbo does not translate, whatever it is called and whatever its worker says', () => {
  const turbo: Model = {
    ...modelNamed('fast'),
    family: 'turbo',
    capabilities: { tasks: ['transcribe'], wordTimestamps: true, logprobs: false },
  };
  const capabilities = { tasks: ['transcribe', 'translate'], word_timestamps: true, logprobs: false };
  const state = { workers: [{ phase: 'loaded', model: turbo, loaded: { languages: ['en'], capabilities } }] };
  const tasksOf = (model: Model) => inForce(state as unknown as State, model).capabilities.tasks;
  expect(tasksOf(turbo)).toEqual(['transcribe']);
  expect(tasksOf({ ...turbo, family: null })).toEqual(['transcribe', 'translate']);
});

test('a request is checked against the loaded worker, before anything is queued for it', async () => {
  await using current = stage('until-told');
  const { residency } = current;
  const library = { find: async () => asRecognised } as Partial<ModelLibrary> as ModelLibrary;
  const service = createTranscriptionService({ config: defaultConfig, library, jobs: residency });
  const request = { model: 'mine', task: 'translate', language: null, audioPath: '/none' } as TranscriptionRequest;
  await residency.load(asRecognised);
  const refused = service.admit().start(request, new AbortController().signal);
  await expect(refused).rejects.toMatchObject({ code: 'unsupported_value', param: 'model' });
});
