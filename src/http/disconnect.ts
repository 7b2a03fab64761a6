import type { ServerResponse } from 'node:http';

/** Aborts when the client disconnects before it has the whole answer. Disconnecting is how a client cancels its request. */
export function disconnectSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (response.destroyed) controller.abort();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Sends `100 Continue` to a client that waits for it (curl does above 1 MiB). Call it after all checks of the headers. */
export function allowBody(response: ServerResponse): void {
  if (/^100-continue$/i.test(response.req.headers.expect ?? '')) response.writeContinue();
}
