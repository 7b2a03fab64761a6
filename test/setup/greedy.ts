const settings = { beamSize: 1 };

/**
 * Variables of a gateway for tests to which a few wrong words do not matter: without a beam search, Whisper needs about half
 * of the time.
 */
export const greedy: NodeJS.ProcessEnv = {
  ASRPRO_MODELS_SETTINGS: JSON.stringify({ 'whisper-tiny.en': settings, 'whisper-base': settings }),
};
