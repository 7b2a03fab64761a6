import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { JobSpec } from '../../src/residency/job.ts';
import type { JobQueue, Reservation } from '../../src/residency/types.ts';
import { createTranscriptionService } from '../../src/transcription/service.ts';
import type { TranscriptionRequest } from '../../src/transcription/types.ts';
import { libraryIn, whisper, write } from '../models/library.ts';
import { temporaryHome } from '../setup/home.ts';

/** The job of a request, as the residency gets it when it asks for the selected model. */
async function jobOf(models: object, request: Partial<TranscriptionRequest> = {}, home = temporaryHome()) {
  const config = configSchema.parse({ models });
  const library = libraryIn(home, models);
  return await new Promise<JobSpec>((resolve, reject) => {
    const start: Reservation['start'] = async (job) => {
      job.resolve(null).then(resolve, reject);
      return await new Promise(() => undefined);
    };
    const jobs = { reserve: () => ({ start, release: () => undefined }), inForce: (model) => model } as JobQueue;
    const given = { model: null, task: 'transcribe', language: null, ...request } as TranscriptionRequest;
    void createTranscriptionService({ config, library, jobs }).admit().start(given, new AbortController().signal);
  });
}

test.each([null, 'whisper-1'])('a default that does not exist is named, for the model %s', async (model) => {
  await expect(jobOf({ default: 'whisper-bse' }, { model })).rejects.toMatchObject({
    code: 'model_not_found',
    message: "The default model 'whisper-bse' does not exist.",
    hint: expect.stringContaining('`models.default`'),
  });
});

test('without a default, a request without a model is told so', async () => {
  await expect(jobOf({ default: null })).rejects.toMatchObject({ code: 'missing_required_parameter' });
});

test.each([
  [null, null],
  ['auto', null],
  ['EN', 'en'],
])('the configured language %s of a model means %s', async (language, expected) => {
  const home = temporaryHome();
  const custom = [{ id: 'mine', path: write(`${home}/mine`, whisper()) }];
  const { message } = await jobOf({ default: 'mine', custom, settings: { mine: { language } } }, {}, home);
  expect(message.language).toBe(expected);
});
