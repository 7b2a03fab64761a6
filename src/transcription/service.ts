import type { Config } from '../config/schema.ts';
import { AsrproError } from '../errors.ts';
import { languageCode } from '../models/languages.ts';
import { type Model, type ModelLibrary, OPENAI_NAMES } from '../models/model.ts';
import { modelNotFound } from '../models/not-found.ts';
import type { JobSpec } from '../residency/job.ts';
import type { JobQueue } from '../residency/types.ts';
import { checkRequest, narrowed } from './check.ts';
import type { TranscriptionRequest, TranscriptionService } from './types.ts';

export interface TranscriptionOptions {
  config: Config;
  library: ModelLibrary;
  jobs: JobQueue;
}

/** Turns a request into a job: waits for a place in the queue, chooses the model and checks the request against it. */
export function createTranscriptionService({ config, library, jobs }: TranscriptionOptions): TranscriptionService {
  /** @param selected the model for a request that names none; null: the configured default. */
  async function chooseModel(requested: string | null, selected: string | null): Promise<Model> {
    const name = requested ?? selected;
    const model = name === null ? await library.default() : await library.find(name);
    if (model !== undefined) return model;
    const fallback = config.models.default;
    if (fallback !== null && (name === null || OPENAI_NAMES.includes(name))) {
      throw new AsrproError('model_not_found', `The default model '${fallback}' does not exist.`, {
        param: 'model',
        hint: 'Correct `models.default`, or name a model that GET /v1/models lists.',
      });
    }
    if (name === null) {
      throw new AsrproError('missing_required_parameter', 'No model is selected and no default is configured.', {
        param: 'model',
        hint: 'Name a model, or set `models.default`.',
      });
    }
    throw modelNotFound(name);
  }

  return {
    admit() {
      const place = jobs.reserve();
      return {
        release: place.release,
        async start(request, signal) {
          const resolve = async (selected: string | null): Promise<JobSpec> => {
            const model = await chooseModel(request.model, selected);
            const asked = request.language ?? config.models.settings[model.id]?.language ?? 'auto';
            const language = asked.toLowerCase() === 'auto' ? null : (languageCode(asked) ?? asked);
            const inForce = jobs.inForce(model);
            const wanted = narrowed({ ...request, language }, inForce);
            checkRequest(wanted, inForce);
            return jobSpec(wanted, model, config);
          };
          return await place.start({ namesModel: request.model !== null, resolve }, signal);
        },
      };
    },
  };
}

function jobSpec(request: TranscriptionRequest, model: Model, config: Config): JobSpec {
  return {
    model,
    stream: request.stream,
    message: {
      audio: request.audioPath,
      task: request.task,
      language: request.language,
      prompt: request.prompt,
      // As at OpenAI, 0 means that the engine starts at 0 and raises the temperature where decoding fails. The number 0
      // would switch that fallback off.
      temperature: request.temperature === 0 ? null : request.temperature,
      beam_size: config.models.settings[model.id]?.beamSize ?? null,
      hotwords: request.hotwords,
      word_timestamps: request.wordTimestamps,
      segment_timestamps: request.segmentTimestamps,
      logprobs: request.logprobs,
      vad_filter: true,
      languages: request.languages?.length ? [...request.languages] : null,
    },
  };
}
