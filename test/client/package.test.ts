import { readFileSync } from 'node:fs';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';
import { clientTypes, typesFile } from './generated.ts';

test("the client's types match the API (npm run schema)", () => {
  expect(readFileSync(typesFile, 'utf8')).toBe(clientTypes());
});

test('the client imports only its own files and modules of Node', async () => {
  const { metafile } = await build({
    absWorkingDir: checkout,
    entryPoints: ['src/client/index.ts'],
    ...{ bundle: true, metafile: true, write: false, outdir: 'unused', packages: 'external', platform: 'node' },
    ...{ format: 'esm', target: 'node20', logLevel: 'silent' },
  });
  const files = Object.keys(metafile.inputs);
  expect(files.filter((file) => !file.startsWith('src/client/'))).toEqual([]);
  const foreign = Object.values(metafile.inputs).flatMap(({ imports }) => imports.filter((one) => one.external));
  expect(foreign.filter(({ path }) => !path.startsWith('node:'))).toEqual([]);
});
