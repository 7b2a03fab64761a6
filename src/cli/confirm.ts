import { createInterface } from 'node:readline/promises';
import { AsrproError } from '../errors.ts';

export interface Console {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream;
  /** A signal to the process ends the question. */
  signal: AbortSignal;
}

/** Asks a question that only `y` or `yes` confirms. Throws `cancelled` after Ctrl-C or Ctrl-D. */
export async function confirm(question: string, { input, output, signal }: Console): Promise<boolean> {
  const lines = createInterface({ input, output });
  try {
    return /^y(es)?$/i.test((await lines.question(question, { signal })).trim());
  } catch (cause) {
    output.write('\n');
    throw new AsrproError('cancelled', 'Stopped before an answer; nothing was changed.', { cause });
  } finally {
    lines.close();
  }
}
