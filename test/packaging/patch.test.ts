import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { inPlaceOf, patched } from '../../packaging/patch.ts';
import { temporaryHome } from '../setup/home.ts';

async function bundled(plugin: ReturnType<typeof patched>): Promise<string> {
  const folder = temporaryHome();
  const entry = path.join(folder, 'entry.js');
  writeFileSync(entry, `import { old } from './library.js'; import fs from 'node:fs'; console.log(old, fs);`);
  writeFileSync(path.join(folder, 'library.js'), `export const old = 'slow';`);
  const options = { bundle: true, write: false, platform: 'node', logLevel: 'silent' } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [entry], plugins: [plugin] });
  return outputFiles[0]!.text;
}

test('a patch changes the source of a package while it is bundled', async () => {
  const patch = { file: /library\.js$/, change: (source: string) => source.replace('slow', 'fast') };
  expect(await bundled(patched('test', [patch]))).toContain('fast');
  expect(await bundled(inPlaceOf(/^node:fs$/, `module.exports = 'ours';`))).toContain('ours');
});

test('a patch that finds no file or nothing to change ends the build', async () => {
  const nothing = { file: /library\.js$/, change: (source: string) => source.replace('gone', 'fast') };
  await expect(bundled(patched('test', [nothing]))).rejects.toThrow('finds nothing to change');
  const nowhere = { file: /renamed\.js$/, change: () => '' };
  await expect(bundled(patched('test', [nowhere]))).rejects.toThrow('has met no file');
  await expect(bundled(inPlaceOf(/^node:net$/, ''))).rejects.toThrow('nothing in the program imports');
});
