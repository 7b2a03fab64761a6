import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export interface HealthWatch {
  /** Ends the watch. Resolves with the milliseconds of each call. */
  stop(): Promise<number[]>;
}

/**
 * Calls /health every 50 ms from a thread of its own. In the thread of the uploads, a call waited for up to 36 ms until the
 * client itself had read and encoded eight files, while the gateway answered within 8 ms.
 */
export async function startHealthWatch(url: string): Promise<HealthWatch> {
  const thread = new Worker(new URL(import.meta.url), { workerData: url });
  // The first call is done: the code of the client is compiled.
  await once(thread, 'message');
  return {
    async stop() {
      const answered = once(thread, 'message');
      thread.postMessage('stop');
      const [times] = (await answered) as [number[]];
      return times;
    },
  };
}

async function watch(url: string): Promise<void> {
  const times: number[] = [];
  let stopped = false;
  parentPort!.once('message', () => {
    stopped = true;
  });
  await (await fetch(`${url}/health`)).arrayBuffer();
  parentPort!.postMessage('ready');
  while (!stopped) {
    const begin = performance.now();
    await (await fetch(`${url}/health`)).arrayBuffer();
    times.push(performance.now() - begin);
    await sleep(50);
  }
  parentPort!.postMessage(times);
}

if (!isMainThread) await watch(workerData as string);
