import type { Row } from './row.ts';

/** Why rows fall short, by a part of their names. docs/performance.md has the measurements. */
const reasons: Record<string, string> = {
  'npm start to ready':
    'npm itself takes 0.2 s, and the Node that runs npm 0.13 s until it has compared the hash of the lock file.',
  'of librispeech: word errors':
    'one file in six, where a few words decide; over all 76 files it is 146 errors beside 140 to 152 (docs/accuracy.md).',
  'of multilingual, language not given: word errors':
    'one file in six, where a few words decide; over all 35 files it is 267 errors beside 307 (docs/accuracy.md).',
  '19 minutes (one reader): total time against its batched pipeline':
    '0.87 in the run before. Where speakers change, the batched pipeline omits sentences, and asrpro decodes such pieces again.',
  'minutes (one reader): word errors above in-process':
    'cuts and rounding decide over some words: on two processors, 19 minutes gave 193 and 187 errors beside 185 and 171, and 74 minutes 454 and 433 beside 469 and 476.',
  '/health meanwhile':
    'a server that does nothing has a p99 of 15 to 29 ms in the same place: the kernel of this machine is not preemptible.',
  'peak memory against 5 minutes':
    'at the limit; nothing is kept, but among more batches there are larger ones: each eighth of the 74 minutes peaks at 515 to 552 MB. The run before had 1.10.',
  'first text against that of 60 s':
    'the upload of 143 MB takes 0.2 to 0.3 s. Of an MP3 of this length the first text comes after 1.1 to 1.4 s.',
  'idle private memory of the gateway':
    'two thirds are unchanged pages of the executable, which the system drops when it needs room.',
};

/** One line for a row that falls short. */
export function reasonOf({ name }: Row): string {
  const known = Object.keys(reasons).find((part) => name.includes(part));
  return known === undefined ? 'the reason is not known.' : reasons[known]!;
}
