import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { transcribe, wordsOf } from '../../test/setup/api.ts';
import { audio } from '../../test/setup/checkout.ts';
import { corpus } from '../../test/setup/corpus.ts';
import { type InProcess, startInProcess } from '../contenders/in-process.ts';
import { type Product, startProduct } from '../contenders/over-http.ts';
import { english } from '../long-audio.ts';
import type { Measured, Row, Surroundings } from '../row.ts';
import { errorsRow, type Pair, wordErrors } from '../word-errors.ts';

const MODEL = 'whisper-base';
/** Formats of the answer. The text must be the same in all of them. */
const FORMATS: Record<string, string>[] = [
  { response_format: 'json' },
  { response_format: 'verbose_json' },
  { response_format: 'verbose_json', 'timestamp_granularities[]': 'word' },
  { response_format: 'text' },
];
/** Without `--full`, one file of this many is transcribed. */
const STEP = 6;

/** Word errors of short files beside in-process, and words that differ between the formats of the answer. */
export async function words(around: Surroundings): Promise<Measured> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  const direct = await startInProcess(around.python, around.modelPath(MODEL));
  const product = await startProduct(around.home, MODEL);
  try {
    const rows = [
      await shortFiles(around, direct, product, 'librispeech', true),
      await shortFiles(around, direct, product, 'multilingual', false),
      await formats(product, 'one piece', audio('english/jfk.flac'), 0),
      await formats(product, '5 minutes', (await english(folder, 5)).path, 0.5),
    ];
    return { rows, charts: [], raw: null };
  } finally {
    await direct.stop();
    await product.stop();
    rmSync(folder, { recursive: true });
  }
}

async function shortFiles(
  around: Surroundings,
  direct: InProcess,
  product: Product,
  folder: string,
  isEnglish: boolean,
): Promise<Row> {
  const spoken = corpus(folder).filter(({ reference }) => reference !== '');
  const chosen = around.full ? spoken : spoken.filter((_, at) => at % STEP === 0);
  const [ours, theirs]: [Pair[], Pair[]] = [[], []];
  for (const { file, reference, language } of chosen) {
    const asked = isEnglish ? 'en' : null;
    const pair = { reference, language: language! };
    theirs.push({ ...pair, hypothesis: await direct.transcribe(file, asked) });
    ours.push({ ...pair, hypothesis: await product.transcribe(file, asked) });
  }
  const how = isEnglish ? '' : ', language not given';
  return errorsRow(`${chosen.length} files of ${folder}${how}`, await wordErrors(ours), await wordErrors(theirs));
}

async function formats({ gateway }: Product, name: string, file: string, target: number): Promise<Row> {
  const texts: string[] = [];
  for (const fields of FORMATS) {
    const { status, json, text } = await transcribe(gateway.url, file, { model: MODEL, language: 'en', ...fields });
    if (status !== 200) throw new Error(text);
    texts.push(wordsOf(json?.text ?? text));
  }
  const [reference, ...others] = texts as [string, ...string[]];
  const sums = await Promise.all(others.map((hypothesis) => wordErrors([{ reference, hypothesis }])));
  const most = Math.max(...sums.map(({ errors }) => errors));
  return {
    name: `${name}: words that differ between formats`,
    value: (100 * most) / sums[0]!.words,
    target,
    unit: '%',
    detail: `${most} of ${sums[0]!.words} words, the worst of ${FORMATS.length} formats`,
  };
}
