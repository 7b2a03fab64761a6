import { expect, test } from 'vitest';
import { defaultConfig } from '../../src/config/schema.ts';
import type { Model, ModelLibrary } from '../../src/models/model.ts';
import { inForce } from '../../src/residency/describe.ts';
import type { State } from '../../src/residency/state.ts';
import { createTranscriptionService } from '../../src/transcription/service.ts';
import type { TranscriptionRequest } from '../../src/transcription/types.ts';
import { modelNamed, stage } from './stage.ts';

/** According to its files it translates and has word times, and its languages are unknown. */
const asRecognised: Model = { ...modelNamed('mine'), languages: null };

test('capabilities of a model come from its files, and from its worker once it is loaded', async () => {
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

test('a loaded turbo model does not translate, whatever its id is and whatever its worker reports', () => {
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

test('a request is checked against the loaded worker before it is queued', async () => {
  await using current = stage('until-told');
  const { residency } = current;
  const library = { find: async () => asRecognised } as Partial<ModelLibrary> as ModelLibrary;
  const service = createTranscriptionService({ config: defaultConfig, library, jobs: residency });
  const request = { model: 'mine', task: 'translate', language: null, audioPath: '/none' } as TranscriptionRequest;
  await residency.load(asRecognised);
  const refused = service.admit().start(request, new AbortController().signal);
  await expect(refused).rejects.toMatchObject({ code: 'unsupported_value', param: 'model' });
});
