import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { usage, usageSchema } from '../transcription/answer.ts';
import type { JobResult, TokenLogprob, TranscriptionRun } from '../transcription/types.ts';
import { envelope, requestError } from './error-reply.ts';

const logprobs = z.array(z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) })).optional();

/** What `data:` holds in an event stream. */
export const streamEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('transcript.text.delta'), delta: z.string(), logprobs }),
    z.object({ type: z.literal('transcript.text.done'), text: z.string(), logprobs, usage: usageSchema }),
  ])
  .meta({ id: 'StreamEvent', description: 'Joined, the deltas are the text of `done`.' });
type StreamEvent = z.infer<typeof streamEvent>;

/** A comment: the only frame that every parser of the SDKs passes over. */
const KEEP_ALIVE = ': keep-alive\n\n';

/**
 * The events of a running job. White space at the end of a segment is held back until something follows, because the
 * final text is trimmed and the deltas must add up to it. Throws what the job throws.
 */
export async function* transcriptEvents(run: TranscriptionRun, withLogprobs: boolean): AsyncGenerator<StreamEvent> {
  const tokens: TokenLogprob[] = [];
  let text = '';
  let held = '';
  for await (const segment of run.segments) {
    const joined = held + segment.text;
    const visible = joined.trimEnd();
    held = joined.slice(visible.length);
    const delta = text === '' ? visible.trimStart() : visible;
    if (delta === '') continue;
    text += delta;
    const added = withLogprobs ? { logprobs: segment.logprobs ?? [] } : {};
    tokens.push(...(added.logprobs ?? []));
    yield { type: 'transcript.text.delta', delta, ...added };
  }
  const result: JobResult = await run.result;
  yield { type: 'transcript.text.done', text, ...(withLogprobs ? { logprobs: tokens } : {}), usage: usage(result) };
}

export interface StreamTimes {
  /** How long the answer's status waits for the first event, so that an early failure is an ordinary error. */
  holdMs: number;
  /** Longest silence on the wire. */
  keepAliveMs: number;
}

/**
 * Events as server-sent frames: `data:` only, no ids, no names. Resolves when the first event is there or `holdMs` are
 * over, and rejects if the job fails before that. Later failures become one frame that the SDKs raise as APIError.
 */
export async function eventFrames(
  events: AsyncGenerator<StreamEvent>,
  times: StreamTimes,
  onError: (error: unknown) => void,
): Promise<AsyncGenerator<string>> {
  let next = events.next();
  await settledWithin(next, times.holdMs);

  async function* frames(): AsyncGenerator<string> {
    try {
      for (;;) {
        if (!(await settledWithin(next, times.keepAliveMs))) {
          yield KEEP_ALIVE;
          continue;
        }
        const { done, value } = await next;
        if (done) return;
        next = events.next();
        // It may fail while the frame is on its way; whoever awaits it next hears of that.
        next.catch(() => undefined);
        yield `data: ${JSON.stringify(value)}\n\n`;
      }
    } catch (error) {
      onError(error);
      yield `data: ${JSON.stringify(envelope(requestError(error)))}\n\n`;
    } finally {
      await events.return(undefined);
    }
  }
  return frames();
}

/** Whether it settled; throws its error. */
async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const late = pause(ms, false, { signal: timer.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}
