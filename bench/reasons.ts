import type { Row } from './row.ts';

/** Why rows fall short, by a part of their names. docs/performance.md has the measurements. */
const reasons: Record<string, string> = {
  'npm start to ready':
    'npm itself takes 0.2 s, and the Node that runs npm 0.13 s until it has compared the hash of the lock file.',
  'of librispeech: word errors':
    'one file in six, where a few words decide; over all 76 files it is 146 errors beside 140 to 152 (docs/accuracy.md).',
  'of multilingual, language not given: word errors':
    'one file in six, where a few words decide; over all 35 files it is 267 errors beside 307 (docs/accuracy.md).',
  '12 minutes (one reader): total time against in-process':
    'single runs on this machine differ by a tenth: another one gave 0.41, and in this one 19 and 74 minutes have 0.35 and 0.38.',
  '12 minutes (one reader): total time against its batched pipeline':
    'the blocks that keep the peak at 527 MB are mapped anew each time, 5 % of the time, and the short first piece takes 3 %; without both the ratio was 0.83.',
  '19 minutes (one reader): total time against its batched pipeline':
    'where speakers change, the batched pipeline omits sentences (237 errors, of which 83 words are missing), and asrpro decodes such pieces again (193, 22).',
  'minutes (one reader): word errors above in-process':
    'where a file is cut decides over some words; other lengths of the first piece gave 74 and 79 errors for 12 minutes.',
  'peak memory against 5 minutes':
    'at the limit; nothing is kept, but among more batches there are larger ones: each eighth of the 74 minutes peaks at 515 to 552 MB.',
  'first text against that of 60 s':
    'a single request for each: 3.0 s in this run and 2.0 s in the one before; the upload has 143 MB.',
  'idle private memory of the gateway':
    'two thirds are unchanged pages of the executable, which the system drops when it needs room.',
};

/** One line for a row that falls short. */
export function reasonOf({ name }: Row): string {
  const known = Object.keys(reasons).find((part) => name.includes(part));
  return known === undefined ? 'the reason is not known.' : reasons[known]!;
}
