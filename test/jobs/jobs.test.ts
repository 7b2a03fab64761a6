import { once } from 'node:events';
import { expect, test } from 'vitest';
import { AsrproError } from '../../src/errors.ts';
import type { Job, JobStatus } from '../../src/jobs/job.ts';
import { Jobs } from '../../src/jobs/jobs.ts';
import { createLog } from '../../src/log.ts';

interface Status extends JobStatus {
  done: number;
}
const first: Status = { status: 'queued', error: null, done: 0 };
const create = (patienceMs?: number) =>
  new Jobs<Status>({
    ...{ log: createLog({ level: 'silent', format: 'json' }), stopped: {}, failure: 'download_failed' },
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
const untilStopped = async ({ signal }: Job<Status>): Promise<undefined> => {
  await once(signal, 'abort');
  signal.throwIfAborted();
};

async function all(changes: AsyncIterable<Status>): Promise<string[]> {
  const heard: string[] = [];
  for await (const { status, done } of changes) heard.push(`${status} ${done}`);
  return heard;
}

test('all callers that start a job share it, and each of them sees every change', async () => {
  const jobs = create();
  let works = 0;
  const work = async (job: Job<Status>) => {
    works += 1;
    await null;
    for (let done = 1; done <= 3; done += 1) job.change({ status: 'downloading', done });
    return { done: 4 };
  };
  jobs.start('a', first, work);
  jobs.start('a', first, work);
  const heard = await Promise.all([all(jobs.watch('a')), all(jobs.watch('a'))]);
  expect(heard[0]).toEqual(['queued 0', 'downloading 1', 'downloading 2', 'downloading 3', 'installed 4']);
  expect(heard[1]).toEqual(heard[0]);
  expect(works).toBe(1);
  jobs.start('a', first, work);
  expect(works).toBe(2);
});

test('a watch ends without an error when it is aborted, or when its loop is left', async () => {
  const jobs = create();
  jobs.start('a', first, untilStopped);
  const stop = new AbortController();
  const heard = all(jobs.watch('a', stop.signal));
  stop.abort();
  expect(await heard).toHaveLength(1);
  expect(await all(jobs.watch('a', AbortSignal.abort()))).toEqual([]);
  for await (const _status of jobs.watch('a')) break;
  expect((await jobs.cancel('a'))!.status).toBe('cancelled');
});

test('a failure has a hint that fits its cause: an error of the disk is no error of the network', async () => {
  const jobs = create();
  const fails = (error: unknown) => async () => {
    throw error;
  };
  jobs.start('typed', first, fails(new AsrproError('hub_unreachable', 'No hub.', { hint: 'Try again.' })));
  jobs.start('full', first, fails(Object.assign(new Error('x'), { code: 'ENOSPC' })));
  jobs.start('closed', first, fails(Object.assign(new Error('x'), { code: 'EROFS' })));
  for (const id of ['typed', 'full', 'closed']) await all(jobs.watch(id));
  expect(jobs.get('typed')!.error).toEqual({ code: 'hub_unreachable', message: 'No hub. Try again.', retryable: true });
  expect(jobs.get('full')!.error!.code).toBe('disk_full');
  expect(jobs.get('closed')!.error).toMatchObject({
    code: 'download_failed',
    message: expect.stringContaining('EROFS'),
  });
});

test('a job that ignores its signal delays neither cancel nor close, and its later changes are dropped', async () => {
  const jobs = create(20);
  let late: Job<Status> | undefined;
  const deaf = (job: Job<Status>): Promise<undefined> => {
    late = job;
    return new Promise(() => undefined);
  };
  jobs.start('a', first, deaf);
  expect((await jobs.cancel('a'))!.status).toBe('cancelled');
  late!.change({ status: 'downloading', done: 9 });
  expect(jobs.get('a')).toMatchObject({ status: 'cancelled', done: 0 });
  jobs.start('b', first, deaf);
  await jobs.close();
  expect(jobs.get('b')!.status).toBe('cancelled');
  expect(() => jobs.start('c', first, deaf)).toThrow(expect.objectContaining({ code: 'shutting_down' }));
});
