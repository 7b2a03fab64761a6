import { once } from 'node:events';
import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import type { BackgroundTask, TaskStatus } from '../../src/background-tasks/task.ts';
import { BackgroundTasks } from '../../src/background-tasks/tasks.ts';
import { AsrproError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { checkout } from '../setup/checkout.ts';

interface Status extends TaskStatus {
  done: number;
}
const first: Status = { status: 'queued', error: null, done: 0 };
const create = (cancelTimeoutMs?: number) =>
  new BackgroundTasks<Status>({
    ...{ log: createLog({ level: 'silent', format: 'json' }), stopped: {}, failure: 'download_failed' },
    ...(cancelTimeoutMs === undefined ? {} : { cancelTimeoutMs }),
  });
const untilStopped = async ({ signal }: BackgroundTask<Status>): Promise<undefined> => {
  await once(signal, 'abort');
  signal.throwIfAborted();
};

async function all(changes: AsyncIterable<Status>): Promise<string[]> {
  const heard: string[] = [];
  for await (const { status, done } of changes) heard.push(`${status} ${done}`);
  return heard;
}

test('all callers that start a task share it, and each of them sees every change', async () => {
  const tasks = create();
  let works = 0;
  const work = async (task: BackgroundTask<Status>) => {
    works += 1;
    await null;
    for (let done = 1; done <= 3; done += 1) task.change({ status: 'downloading', done });
    return { done: 4 };
  };
  tasks.start('a', first, work);
  tasks.start('a', first, work);
  const heard = await Promise.all([all(tasks.watch('a')), all(tasks.watch('a'))]);
  expect(heard[0]).toEqual(['queued 0', 'downloading 1', 'downloading 2', 'downloading 3', 'installed 4']);
  expect(heard[1]).toEqual(heard[0]);
  expect(works).toBe(1);
  tasks.start('a', first, work);
  expect(works).toBe(2);
});

test('a watch ends without an error when it is aborted, or when its loop is left', async () => {
  const tasks = create();
  tasks.start('a', first, untilStopped);
  const stop = new AbortController();
  const heard = all(tasks.watch('a', stop.signal));
  stop.abort();
  expect(await heard).toHaveLength(1);
  expect(await all(tasks.watch('a', AbortSignal.abort()))).toEqual([]);
  for await (const _status of tasks.watch('a')) break;
  expect((await tasks.cancel('a'))!.status).toBe('cancelled');
});

test('a failure has a hint that fits its cause: an error of the disk is no error of the network', async () => {
  const tasks = create();
  const fails = (error: unknown) => async () => {
    throw error;
  };
  tasks.start('typed', first, fails(new AsrproError('hub_unreachable', 'No hub.', { hint: 'Try again.' })));
  tasks.start('full', first, fails(Object.assign(new Error('x'), { code: 'ENOSPC' })));
  tasks.start('closed', first, fails(Object.assign(new Error('x'), { code: 'EROFS' })));
  for (const id of ['typed', 'full', 'closed']) await all(tasks.watch(id));
  expect(tasks.get('typed')!.error).toEqual({
    code: 'hub_unreachable',
    message: 'No hub. Try again.',
    retryable: true,
  });
  expect(tasks.get('full')!.error!.code).toBe('disk_full');
  expect(tasks.get('closed')!.error).toMatchObject({
    code: 'download_failed',
    message: expect.stringContaining('EROFS'),
  });
});

test('a task that ignores its signal delays neither cancel nor close, and its later changes are dropped', async () => {
  const tasks = create(20);
  let late: BackgroundTask<Status> | undefined;
  const deaf = (task: BackgroundTask<Status>): Promise<undefined> => {
    late = task;
    return new Promise(() => undefined);
  };
  tasks.start('a', first, deaf);
  expect((await tasks.cancel('a'))!.status).toBe('cancelled');
  late!.change({ status: 'downloading', done: 9 });
  expect(tasks.get('a')).toMatchObject({ status: 'cancelled', done: 0 });
  tasks.start('b', first, deaf);
  await tasks.close();
  expect(tasks.get('b')!.status).toBe('cancelled');
  expect(() => tasks.start('c', first, deaf)).toThrow(expect.objectContaining({ code: 'shutting_down' }));
});

test('an ended task does not keep the process alive after the close', async () => {
  const file = path.join(checkout, 'src/background-tasks/tasks.ts');
  const program = `
    import { BackgroundTasks } from ${JSON.stringify(file)};
    const tasks = new BackgroundTasks({ log: {}, stopped: {}, failure: 'download_failed', cancelTimeoutMs: 600_000 });
    tasks.start('a', { status: 'queued', error: null }, async () => ({}));
    for await (const _status of tasks.watch('a'));
    await tasks.close();`;
  // `asrpro pull` used to wait five seconds after its last line, and so did every stop of a gateway after a download.
  const { exitCode } = await execa(process.execPath, ['--input-type=module', '-e', program], { timeout: 15_000 });
  expect(exitCode).toBe(0);
});
