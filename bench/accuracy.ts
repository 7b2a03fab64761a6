/**
 * `npm run bench:accuracy [MODEL...]`: word error rates of the product beside direct calls of the libraries, the effect of
 * keywords, and the times at which utterances begin. Without arguments it writes docs/accuracy.md, with models it prints
 * their rows. The answers of the libraries are kept, so that only the first run takes long.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { wordsOf } from '../test/setup/api.ts';
import { checkout } from '../test/setup/checkout.ts';
import { pythonWithTools } from '../test/setup/python-tools.ts';
import { installForTests } from '../test/setup/shared-home.ts';
import { type Count, errors, interval, rate, words } from './accuracy/bootstrap.ts';
import { direct, type Heard, type Kind, type Listen, product } from './accuracy/contenders.ts';
import { type Collection, collections, names, type Spoken, utterances } from './accuracy/sets.ts';
import { plot } from './plot.ts';

const MODELS: { id: string; kind: Kind; english: boolean }[] = [
  { id: 'whisper-base', kind: 'faster-whisper', english: false },
  { id: 'whisper-tiny.en', kind: 'faster-whisper', english: true },
  { id: 'whisper-base-onnx', kind: 'onnx-asr', english: false },
];
/** Keywords that occur in no recording. */
const UNRELATED = Array.from(
  { length: 60 },
  (_, at) =>
    `${['Borvane', 'Quistel', 'Dramodin', 'Yelkor', 'Fenzipra', 'Ostrigal'][at % 6]} ${['GmbH', 'Street', 'Tablet', 'Mark', 'Systems', 'Junior', 'Valley', 'Pro', 'Island', 'Protocol'][Math.floor(at / 6)]}`,
);
/** faster-whisper draws texts at random where it is unsure, so its errors on short English files are the mean of several runs. */
const RUNS = 3;
/** Keywords of a request: those of its sentence and of the sentences beside it. */
const GLOSSARY = 8;

const wanted = process.argv.slice(2);
await installForTests();
const python = await pythonWithTools();
const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-accuracy-'));
const begin = performance.now();
const table: string[] = [];
const keywordRows: string[] = [];
const startRows: string[] = [];
const bars: { name: string; value: number }[] = [];
try {
  const sets = await collections(folder);
  for (const model of MODELS.filter(({ id }) => wanted.length === 0 || wanted.includes(id))) await measure(model, sets);
} finally {
  rmSync(folder, { recursive: true });
}
console.log([...table, ...keywordRows, ...startRows].join('\n'));
if (wanted.length === 0) write();

async function measure({ id, kind, english }: (typeof MODELS)[number], sets: readonly Collection[]): Promise<void> {
  const theirs = await direct(id, kind);
  const { listen: ours, stop } = await product(id, kind);
  try {
    const chosen = sets.filter((set) => (set.english || !english) && (set.short || kind === 'faster-whisper'));
    const [sumOurs, sumTheirs]: [Count[], Count[][]] = [[], []];
    for (const { name, spoken, ...set } of chosen) {
      const files = spoken.map(({ file }) => ({ file }));
      const a = await score(spoken, await ours(files));
      const runs = kind === 'faster-whisper' && set.short && set.english ? RUNS : 1;
      const b: Count[][] = [];
      for (let run = 0; run < runs; run += 1)
        b.push(await score(spoken, await theirs(files.map((one) => ({ ...one, run })))));
      const keywords = kind === 'faster-whisper' ? await score(spoken, await ours(withKeywords(files))) : null;
      table.push(row(id, name, a, b, keywords));
      if (!set.short || !set.english) continue;
      sumOurs.push(...a);
      for (const [run, counts] of b.entries()) sumTheirs[run] = [...(sumTheirs[run] ?? []), ...counts];
    }
    table.push(row(id, '**short English, sum**', sumOurs, sumTheirs, null));
    bars.push(
      { name: `asrpro ${id.slice(8)}`, value: rate(sumOurs) },
      { name: `alone ${id.slice(8)}`, value: rate(mean(sumTheirs)) },
    );
    if (kind === 'faster-whisper') {
      for (const { name, spoken } of names()) keywordRows.push(await recallRow(id, name, spoken, ours, theirs));
      if (sets.some(({ name }) => name === '12 minutes')) startRows.push(await startRow(id, sets, ours, theirs));
    }
  } finally {
    await stop();
  }
}

function withKeywords(files: readonly { file: string }[]) {
  return files.map((one) => ({ ...one, keywords: UNRELATED }));
}

async function score(spoken: readonly Spoken[], heard: readonly Heard[]): Promise<Count[]> {
  const pairs = spoken.map(({ reference, language }, at) => ({ reference, language, hypothesis: heard[at]!.text }));
  const script = path.join(import.meta.dirname, 'word_error_rate.py');
  return JSON.parse((await execa(python, [script, '--each'], { input: JSON.stringify(pairs) })).stdout);
}

/** Of each file over all runs. */
function mean(runs: Count[][]): Count[] {
  return runs[0]!.map(([, all], at) => [runs.reduce((sum, run) => sum + run[at]![0], 0) / runs.length, all]);
}

function row(model: string, set: string, ours: Count[], runs: Count[][], keywords: Count[] | null): string {
  const theirs = mean(runs);
  const range =
    interval(ours, theirs)
      ?.map((edge) => signed(edge))
      .join(' to ') ?? 'one file';
  const each = runs.map(errors).sort((low, high) => low - high);
  const spread = each.length > 1 ? ` (${each[0]} to ${each.at(-1)})` : '';
  const alone = `${Number(errors(theirs).toFixed(1))}${spread}, ${rate(theirs).toFixed(2)} %`;
  const change = keywords === null ? '' : signed(rate(keywords) - rate(ours));
  return `| ${model} | ${set} | ${ours.length} | ${words(ours)} | ${alone} | ${errors(ours)}, ${rate(ours).toFixed(2)} % | ${signed(rate(ours) - rate(theirs))} (${range}) | ${change} |`;
}

async function recallRow(
  model: string,
  set: string,
  spoken: readonly Spoken[],
  ours: Listen,
  theirs: Listen,
): Promise<string> {
  const all = spoken.map((one) => one.names);
  const plain = spoken.map(({ file }) => ({ file }));
  const helped = spoken.map(({ file }, at) => ({
    file,
    keywords: [...new Set([...all.slice(at), ...all.slice(0, at)].flat())].slice(0, GLOSSARY).sort(),
  }));
  const cells: string[] = [];
  for (const listen of [theirs, ours]) {
    for (const orders of [plain, helped]) {
      const heard = await listen(orders);
      const found = spoken.map(
        (one, at) => one.names.filter((name) => ` ${wordsOf(heard[at]!.text)} `.includes(` ${wordsOf(name)} `)).length,
      );
      cells.push(`${found.reduce((sum, count) => sum + count, 0)}, ${rate(await score(spoken, heard)).toFixed(1)} %`);
    }
  }
  return `| ${model} | ${set} | ${spoken.length} | ${all.flat().length} | ${cells.join(' | ')} |`;
}

async function startRow(model: string, sets: readonly Collection[], ours: Listen, theirs: Listen): Promise<string> {
  const { file } = sets.find(({ name }) => name === '12 minutes')!.spoken[0]!;
  const script = path.join(import.meta.dirname, 'accuracy', 'starts.py');
  const cells: string[] = [];
  for (const listen of [theirs, ours]) {
    const [heard] = await listen([{ file, words: true }]);
    const input = JSON.stringify({ file, utterances: utterances(), words: heard!.words });
    const medians = JSON.parse((await execa(python, [script], { input })).stdout) as number[];
    cells.push(...medians.map((seconds) => `${seconds.toFixed(3)} s`));
  }
  return `| ${model} | ${cells.join(' | ')} |`;
}

function signed(points: number): string {
  return `${points > 0 ? '+' : ''}${points.toFixed(2)}`;
}

function write(): void {
  const chart = { title: 'Word error rate, short English recordings', unit: '%', bars };
  writeFileSync(path.join(checkout, 'docs', 'benchmarks', 'accuracy.svg'), plot(chart));
  const minutes = ((performance.now() - begin) / 60_000).toFixed(0);
  const page = `# Accuracy

Written by \`npm run bench:accuracy\` on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes. "Alone" is the library called directly with its
defaults and the same weights: faster-whisper 1.2.1 with int8, or onnx-asr, which transcribes at most 30 s. No language is given. Texts are
normalised with \`whisper-normalizer\`, as in the Whisper paper: the English normaliser for English, the basic one for other languages.
Chinese and Japanese are counted in characters. faster-whisper samples at random when a text fails, so for short English files its errors are the
mean of ${RUNS} runs (range in brackets). The difference is asrpro minus alone, in percentage points, with the 95 % interval of a paired bootstrap over the
files (4000 draws, seeded). The last column is how much 60 keywords that occur in no recording add to asrpro's rate (goal: at most 0.2).

![Word error rate of short English recordings](benchmarks/accuracy.svg)

| model | set | files | words | alone: errors | asrpro: errors | difference (95 %) | 60 unrelated keywords |
|---|---|---|---|---|---|---|---|
${table.join('\n')}

## Keywords

Sentences with rare names, spoken by espeak-ng (\`bench/accuracy/make_names.py\`; eight voices, three speeds, two levels of hiss) and by people
(LibriSpeech and FLEURS). The cells have the number of names written correctly and the word error rate, without keywords and with ${GLOSSARY}
keywords, which include the names of the sentence.

| model | set | sentences | names | alone | alone, keywords | asrpro | asrpro, keywords |
|---|---|---|---|---|---|---|---|
${keywordRows.join('\n')}

## When utterances begin

Median error of the first word's start, over the utterances of the 12-minute recording: against the starts of its list, which lie in the pause
before the utterance (0.27 s before the speech, in the median), and against the onset of the speech itself, found by its level.

| model | alone, list | alone, onset | asrpro, list | asrpro, onset |
|---|---|---|---|---|
${startRows.join('\n')}
`;
  writeFileSync(path.join(checkout, 'docs', 'accuracy.md'), page);
  console.log('docs/accuracy.md is written');
}
