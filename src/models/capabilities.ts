import type { Capabilities } from '../wire/messages.ts';
import type { ModelEngine } from './model.ts';

/** Segment keys that the ONNX and NeMo engines have no number for. */
const UNKNOWN_TO_TRANSDUCERS = ['tokens', 'no_speech_prob'];

/**
 * What a model will be able to do, before it is loaded, so that a request it cannot honour is refused before anything is
 * queued. The worker states the same in `loaded`; a test compares the two.
 */
export function capabilitiesOf(engine: ModelEngine, id: string, languages: readonly string[]): Capabilities {
  if (engine === 'faster-whisper') {
    return {
      // Turbo and the distilled models were not trained for it and answer in the language of the speech.
      tasks: languages.length > 1 && !/turbo|distil/i.test(id) ? ['transcribe', 'translate'] : ['transcribe'],
      word_timestamps: true,
      logprobs: false,
      prompt: true,
      temperature: true,
      hotwords: true,
      detects_language: languages.length > 1,
      neutral: [],
    };
  }
  const timed = engine === 'nemo' || !/whisper/i.test(id);
  return {
    tasks: ['transcribe'],
    word_timestamps: timed,
    logprobs: timed && engine === 'onnx-asr',
    prompt: false,
    temperature: false,
    hotwords: false,
    detects_language: false,
    neutral: timed && engine === 'onnx-asr' ? UNKNOWN_TO_TRANSDUCERS : [...UNKNOWN_TO_TRANSDUCERS, 'avg_logprob'],
  };
}
