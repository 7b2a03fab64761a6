import { once } from 'node:events';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  collect,
  plain,
  plainTranscript,
  plainTranslation,
  translated,
  verbose,
  verboseTranscript,
} from '../../transcription/answer.ts';
import type { ResponseOptions, Transcript, TranscriptionRun } from '../../transcription/types.ts';
import type { HttpServerDeps } from '../deps.ts';
import { allowBody, disconnectSignal } from '../disconnect.ts';
import { createEntrance, type Entry } from '../entrance.ts';
import { eventFrames, streamEvent, transcriptEvents } from '../event-stream.ts';
import {
  type AudioForm,
  parseTranscriptionForm,
  parseTranslationForm,
  transcriptionForm,
  translationForm,
} from '../form.ts';
import { type Operation, streamingOperation } from '../operation.ts';
import { startTimings } from '../timings.ts';
import { receiveUpload, type Upload } from '../upload.ts';

type HttpDeps = Pick<HttpServerDeps, 'config' | 'log' | 'library' | 'residency' | 'transcription' | 'spoolDirectory'>;
type Deps = HttpDeps & { closing: AbortSignal | undefined };

const STREAM_TIMES = { holdMs: 3_000, keepAliveMs: 15_000 };
const text = { 'text/plain': z.string() };
const errors = [400, 404, 413, 503];

/** Speech to text: the two calls of OpenAI's audio API. */
export function audioRoutes(given: HttpDeps, closing?: AbortSignal): Operation[] {
  const deps = { ...given, closing };
  const enter = createEntrance(deps);
  return [
    streamingOperation({
      method: 'POST',
      path: '/v1/audio/transcriptions',
      summary: 'Turn speech into text',
      description: 'Loads the model if it is not loaded. The model must be downloaded.',
      body: { contentType: 'multipart/form-data', schema: transcriptionForm },
      answers: [
        {
          status: 200,
          description: 'The text, in the requested format.',
          content: {
            'application/json': z.union([verboseTranscript, plainTranscript]),
            ...text,
            'text/event-stream': streamEvent,
          },
        },
      ],
      errors,
      handler: (request, reply) => answerAudio(deps, enter, request, reply, parseTranscriptionForm, plain),
    }),
    streamingOperation({
      method: 'POST',
      path: '/v1/audio/translations',
      summary: 'Turn speech in any language into English text',
      description: 'Needs a model whose `tasks` include `translate`.',
      body: { contentType: 'multipart/form-data', schema: translationForm },
      answers: [
        {
          status: 200,
          description: 'The English text, in the requested format.',
          content: { 'application/json': z.union([verboseTranscript, plainTranslation]), ...text },
        },
      ],
      errors,
      handler: (request, reply) => answerAudio(deps, enter, request, reply, parseTranslationForm, translated),
    }),
  ];
}

/** Always removes the upload and releases the place in the queue. Cancels the job when the client disconnects. */
async function answerAudio<Plain>(
  deps: Deps,
  enter: () => Entry,
  request: FastifyRequest,
  reply: FastifyReply,
  parse: (upload: Upload) => AudioForm,
  asJson: (transcript: Transcript, options: ResponseOptions) => Plain,
): Promise<string | Plain | ReturnType<typeof verbose> | FastifyReply> {
  const { config, log, spoolDirectory, closing } = deps;
  const timings = startTimings(log, request.id);
  const entry = enter();
  const disconnected = disconnectSignal(reply.raw);
  try {
    const limits = { directory: spoolDirectory, maxBytes: config.server.maxUploadBytes, pace: entry.pace, closing };
    const upload = await receiveUpload(request.raw, limits, () => allowBody(reply.raw));
    timings.end('upload');
    try {
      const form = parse(upload);
      const run = await entry.admit().start({ ...form.request, audioPath: upload.file?.path ?? '' }, disconnected);
      // The stage `start` is the wait in the queue, a load if needed, and the time until the engine begins.
      timings.end('start');
      if (form.response.stream) return await sendEvents(deps, run, form.response, reply);
      const body = await transcriptBody(deps, run, form, reply, asJson);
      timings.end('text');
      timings.write((await run.result).timings);
      return body;
    } finally {
      await upload.discard();
    }
  } finally {
    entry.leave();
  }
}

/** The body is returned instead of sent, so that the upload is removed before the client has its answer. */
async function transcriptBody<Plain>(
  { library, residency }: Deps,
  run: TranscriptionRun,
  { request, response }: AudioForm,
  reply: FastifyReply,
  asJson: (transcript: Transcript, options: ResponseOptions) => Plain,
): Promise<string | Plain | ReturnType<typeof verbose>> {
  const transcript = await collect(run, request.task);
  if (response.format === 'text') {
    reply.type('text/plain; charset=utf-8');
    return `${transcript.text}\n`;
  }
  if (response.format === 'json') return asJson(transcript, response);
  const model = await library.find(run.model);
  const languages = model === undefined ? null : residency.inForce(model).languages;
  const onlyLanguage = languages?.length === 1 ? languages[0]! : null;
  return verbose({ ...transcript, language: transcript.language ?? request.language ?? onlyLanguage }, response);
}

/** Resolves when the last event is sent or the client has disconnected. */
async function sendEvents(
  { log }: Deps,
  run: TranscriptionRun,
  options: ResponseOptions,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const onError = (error: unknown): void => {
    if (!reply.raw.destroyed)
      log.warn({ err: error, request: reply.request.id }, 'the transcription failed while streaming');
  };
  const frames = await eventFrames(transcriptEvents(run, options.logprobs), STREAM_TIMES, onError);
  const body = Readable.from(frames, { objectMode: false });
  const ended = once(body, 'close');
  // Some clients only finish when the connection closes, so it closes with the stream.
  reply.header('cache-control', 'no-cache').header('connection', 'close').type('text/event-stream; charset=utf-8');
  reply.send(body);
  await ended;
  return reply;
}
