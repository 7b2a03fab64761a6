import { z } from 'zod';
import { usage, usageSchema } from '../transcription/answer.ts';
import type { JobResult, TokenLogprob, TranscriptionRun } from '../transcription/types.ts';
import { within } from '../worker/within.ts';
import { envelope, requestError } from './error-reply.ts';

const logprobs = z.array(z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) })).optional();

/** The JSON after `data:` in an event stream. */
export const streamEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('transcript.text.delta'), delta: z.string(), logprobs }),
    z.object({ type: z.literal('transcript.text.done'), text: z.string(), logprobs, usage: usageSchema }),
  ])
  .meta({ id: 'StreamEvent', description: 'The deltas, joined, are the text of `done`.' });
type StreamEvent = z.infer<typeof streamEvent>;

/** A comment is the only frame that the parsers of all SDKs ignore. */
const KEEP_ALIVE = ': keep-alive\n\n';

/**
 * The events of a running job. Throws what the job throws. White space at the end of a segment is held back until more text
 * follows, because the final text is trimmed and the deltas must add up to it.
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
  /** How long the answer's status waits for the first event, so that an early failure is a normal HTTP error. */
  holdMs: number;
  /** After this long without an event, a comment keeps the connection open. */
  keepAliveMs: number;
}

/**
 * Events as server-sent frames: only `data:`, no ids or names. Resolves with the first event or after `holdMs`, and rejects
 * if the job fails before that. A later failure becomes a frame that the SDKs raise as APIError.
 */
export async function eventFrames(
  events: AsyncGenerator<StreamEvent>,
  times: StreamTimes,
  onError: (error: unknown) => void,
): Promise<AsyncGenerator<string>> {
  let next = events.next();
  await within(next, times.holdMs / 1000);

  async function* frames(): AsyncGenerator<string> {
    try {
      for (;;) {
        if ((await within(next, times.keepAliveMs / 1000)) === null) {
          yield KEEP_ALIVE;
          continue;
        }
        const { done, value } = await next;
        if (done) return;
        next = events.next();
        // If it rejects before the next loop awaits it, Node would report an unhandled rejection.
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
