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
import type { AnswerWish, Transcript, TranscriptionRun } from '../../transcription/types.ts';
import type { HttpServerDeps } from '../deps.ts';
import { allowBody, disconnectSignal } from '../disconnect.ts';
import { createEntrance, type Entry } from '../entrance.ts';
import { eventFrames, streamEvent, transcriptEvents } from '../event-stream.ts';
import { type AudioOrder, transcriptionForm, transcriptionOrder, translationForm, translationOrder } from '../form.ts';
import { type Operation, streamingOperation } from '../operation.ts';
import { timeStages } from '../stages.ts';
import { receiveUpload, type Upload } from '../upload.ts';

type Deps = Pick<HttpServerDeps, 'config' | 'log' | 'library' | 'residency' | 'transcription' | 'spoolDirectory'>;

const STREAM_TIMES = { holdMs: 3_000, keepAliveMs: 15_000 };
const text = { 'text/plain': z.string() };
const errors = [400, 404, 413, 503];

/** Speech to text: the two calls of OpenAI's audio API. */
export function audioRoutes(deps: Deps): Operation[] {
  const enter = createEntrance(deps);
  return [
    streamingOperation({
      method: 'POST',
      path: '/v1/audio/transcriptions',
      summary: 'Turn speech into text',
      description: 'The model is loaded when it is not; it must be downloaded.',
      body: { contentType: 'multipart/form-data', schema: transcriptionForm },
      answers: [
        {
          status: 200,
          description: 'The text, in the form that was asked for.',
          content: {
            'application/json': z.union([verboseTranscript, plainTranscript]),
            ...text,
            'text/event-stream': streamEvent,
          },
        },
      ],
      errors,
      handler: (request, reply) => answerAudio(deps, enter, request, reply, transcriptionOrder, plain),
    }),
    streamingOperation({
      method: 'POST',
      path: '/v1/audio/translations',
      summary: 'Turn speech in any language into English text',
      description: 'For models that can translate; see `tasks` of a model.',
      body: { contentType: 'multipart/form-data', schema: translationForm },
      answers: [
        {
          status: 200,
          description: 'The English text, in the form that was asked for.',
          content: { 'application/json': z.union([verboseTranscript, plainTranslation]), ...text },
        },
      ],
      errors,
      handler: (request, reply) => answerAudio(deps, enter, request, reply, translationOrder, translated),
    }),
  ];
}

/** The file goes away whatever happens, and the place in the queue is given back. A client that leaves takes its job with it. */
async function answerAudio<Plain>(
  deps: Deps,
  enter: () => Entry,
  request: FastifyRequest,
  reply: FastifyReply,
  read: (upload: Upload) => AudioOrder,
  asJson: (transcript: Transcript, answer: AnswerWish) => Plain,
): Promise<string | Plain | ReturnType<typeof verbose> | FastifyReply> {
  const { config, log, spoolDirectory } = deps;
  const stages = timeStages(log, request.id);
  const entry = enter();
  const gone = disconnectSignal(reply.raw);
  try {
    const limits = { directory: spoolDirectory, maxBytes: config.server.maxUploadBytes, pace: entry.pace };
    const upload = await receiveUpload(request.raw, limits, () => allowBody(reply.raw));
    stages.end('upload');
    try {
      const { request: order, answer } = read(upload);
      const run = await entry.admit().start({ ...order, audioPath: upload.file?.path ?? '' }, gone);
      // The queue, a load where one is needed, and the way to the engine's first sign.
      stages.end('start');
      if (answer.stream) return await sendEvents(deps, run, answer, reply);
      const sent = await sendTranscript(deps, run, order, answer, reply, asJson);
      stages.end('text');
      stages.write((await run.result).timings);
      return sent;
    } finally {
      await upload.discard();
    }
  } finally {
    entry.leave();
  }
}

async function sendTranscript<Plain>(
  { library, residency }: Deps,
  run: TranscriptionRun,
  order: AudioOrder['request'],
  answer: AnswerWish,
  reply: FastifyReply,
  asJson: (transcript: Transcript, answer: AnswerWish) => Plain,
): Promise<string | Plain | ReturnType<typeof verbose>> {
  const transcript = await collect(run, order.task);
  if (answer.format === 'text') {
    // Returned and not sent here: the upload is gone before the answer goes out.
    reply.type('text/plain; charset=utf-8');
    return `${transcript.text}\n`;
  }
  if (answer.format === 'json') return asJson(transcript, answer);
  const model = await library.find(run.model);
  const languages = model === undefined ? null : residency.inForce(model).languages;
  const only = languages?.length === 1 ? languages[0]! : null;
  return verbose({ ...transcript, language: transcript.language ?? order.language ?? only }, answer);
}

/** Resolves when the last event was sent or the client has left. */
async function sendEvents(
  { log }: Deps,
  run: TranscriptionRun,
  answer: AnswerWish,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const note = (error: unknown): void => {
    if (!reply.raw.destroyed) log.warn({ err: error, request: reply.request.id }, 'failed while streaming');
  };
  const frames = await eventFrames(transcriptEvents(run, answer.logprobs), STREAM_TIMES, note);
  const body = Readable.from(frames, { objectMode: false });
  const ended = once(body, 'close');
  // The connection closes with the stream: some clients wait for that.
  reply.header('cache-control', 'no-cache').header('connection', 'close').type('text/event-stream; charset=utf-8');
  reply.send(body);
  await ended;
  return reply;
}
