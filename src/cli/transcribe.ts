import { AsrproError, asAsrproError } from '../errors.ts';
import { collect, plain, verbose } from '../transcription/answer.ts';
import type { Transcript, TranscriptionRequest, TranscriptionService } from '../transcription/types.ts';
import { openAudio } from './audio-input.ts';
import type { Command, CommandContext } from './command.ts';
import { findModel } from './find-model.ts';

const formats = ['text', 'json', 'verbose_json'] as const;
type Format = (typeof formats)[number];

export const transcribe: Command = {
  name: 'transcribe',
  summary: 'transcribe audio files to stdout, without a server',
  usage: 'transcribe FILE|-... [--model ID] [--language CODE] [--format text|json|verbose_json] [--words]',
  options: {
    model: { type: 'string', short: 'm', description: 'ID of the model; the configured default if absent.' },
    language: { type: 'string', short: 'l', description: 'ISO-639-1 CODE of the spoken language; detected if absent.' },
    format: { type: 'string', short: 'f', description: 'text, json or verbose_json.' },
    words: { type: 'boolean', description: 'Add the times of the words; implies verbose_json.' },
    mock: { type: 'boolean', description: 'Use a built-in fake worker without Python, for tests.' },
  },
  async run(context) {
    const { positionals: files, terminal } = context;
    if (files.length === 0) throw new AsrproError('usage', `Usage: asrpro ${transcribe.usage}`);
    const format = formatOf(context);
    const services = await context.services();
    const copyTo = {
      directory: services.run.spool,
      maxBytes: context.config.server.maxUploadBytes,
      signal: context.signal,
    };
    const model = text(context.flags.model);
    if (model !== null) await findModel(services.library, model);
    const failures: AsrproError[] = [];
    for (const file of files) {
      if (context.signal.aborted) break;
      try {
        const audio = await openAudio(file, copyTo);
        try {
          const request = requestFor(audio.path, context);
          const transcript = await transcribeFile(services.transcription, request, context.signal);
          terminal.out.write(`${rendered(transcript, format, context.flags.words === true)}\n`);
        } finally {
          await audio.discard();
        }
      } catch (thrown) {
        // The residency reports the end of its caller as a client that has disconnected.
        if (context.signal.aborted) break;
        const error = asAsrproError(thrown);
        // With several files, continue with the others; each error names its file.
        if (files.length === 1) throw error;
        terminal.err.write(error.message.startsWith(file) ? `${error.message}\n` : `${file}: ${error.message}\n`);
        failures.push(error);
      }
    }
    if (context.signal.aborted) throw new AsrproError('cancelled', 'Stopped before all files were transcribed.');
    if (failures.length === 0) return;
    throw new AsrproError(failures[0]!.code, `${failures.length} of ${files.length} files could not be transcribed.`);
  },
};

function formatOf({ flags, terminal }: CommandContext): Format {
  const requested = flags.format ?? (flags.words ? 'verbose_json' : terminal.json ? 'json' : 'text');
  const format = formats.find((one) => one === requested);
  if (format === undefined || (flags.words && format !== 'verbose_json')) {
    const allowed = flags.words ? '--words needs verbose_json' : `it is one of ${formats.join(', ')}`;
    throw new AsrproError('usage', `--format ${String(requested)} is not possible: ${allowed}.`, { param: 'format' });
  }
  return format;
}

function requestFor(audioPath: string, { flags }: CommandContext): TranscriptionRequest {
  return {
    model: text(flags.model),
    audioPath,
    task: 'transcribe',
    language: text(flags.language),
    prompt: null,
    temperature: null,
    hotwords: [],
    wordTimestamps: flags.words === true,
    logprobs: false,
    stream: false,
  };
}

async function transcribeFile(
  service: TranscriptionService,
  request: TranscriptionRequest,
  signal: AbortSignal,
): Promise<Transcript> {
  const admission = service.admit();
  try {
    return await collect(await admission.start(request, signal), request.task);
  } finally {
    admission.release();
  }
}

function rendered(transcript: Transcript, format: Format, words: boolean): string {
  if (format === 'text') return transcript.text;
  const answer =
    format === 'json' ? plain(transcript, { logprobs: false }) : verbose(transcript, { words, segments: true });
  return JSON.stringify(answer);
}

function text(flag: CommandContext['flags'][string]): string | null {
  return typeof flag === 'string' && flag !== '' ? flag : null;
}
