import type { ServerResponse } from 'node:http';

/** Aborts when the client goes away before it has its whole answer: there is no other way for it to say "stop". */
export function disconnectSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}

/** Lets a client send its body that waits for permission (curl does above 1 MiB). Refusals come before this. */
export function allowBody(response: ServerResponse): void {
  if (/^100-continue$/i.test(response.req.headers.expect ?? '')) response.writeContinue();
}
