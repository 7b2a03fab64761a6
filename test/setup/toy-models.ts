import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from './checkout.ts';
import { pythonWithTools, toolsIn } from './python-tools.ts';
import { oneAtATime, sharedHome } from './shared-home.ts';

const scripts = path.join(checkout, 'python-runtime', 'tests');

/**
 * Makes models for every engine in seconds and without the network: a real Whisper in ONNX form, and toy models with
 * random weights for the other engines. They are kept until one of the scripts that make them changes.
 *
 * @returns a folder with one folder for each model, named as in the catalogue.
 */
export async function toyModels(): Promise<string> {
  const key = createHash('sha256');
  for (const name of ['make_models.py', 'toy_models.py', 'toy_nemo.py', 'toy_parakeets.py', 'whisper_onnx.py'])
    key.update(readFileSync(path.join(scripts, name)));
  key.update(
    readFileSync(path.join(checkout, 'python-runtime', 'src', 'asrpro_worker', 'engines', 'parakeet', 'tiny.py')),
  );
  const folder = path.join(sharedHome, 'toy-models', key.digest('hex').slice(0, 16));
  await oneAtATime('toy-models', async () => {
    if (!existsSync(folder)) await make(folder);
  });
  return folder;
}

async function make(folder: string): Promise<void> {
  const building = `${folder}.${process.pid}`;
  const options = {
    env: { PYTHONPATH: path.join(checkout, 'python-runtime', 'src') },
    cwd: scripts,
    stdio: ['ignore', process.stderr, process.stderr],
  } as const;
  const whisper = path.join(sharedHome, 'models', 'whisper-tiny.en');
  await execa(await pythonWithTools(), ['make_models.py', building, whisper], options);
  const nemo = path.join(building, 'parakeet-tdt-0.6b-v3');
  mkdirSync(nemo);
  const { file, args } = await toolsIn('nemo', 'toy_nemo');
  await execa(file, [...args, nemo, 'tdt'], { ...options, env: { ...options.env, PYTHONPATH: `${scripts}` } });
  renameSync(path.join(nemo, 'tdt.nemo'), path.join(nemo, 'parakeet-tdt-0.6b-v3.nemo'));
  for (const id of readdirSync(building)) writeFileSync(path.join(building, id, '.asrpro.json'), marker(building, id));
  renameSync(building, folder);
}

/** The contents of the file that a download writes into a model's folder. */
function marker(models: string, id: string): string {
  const files = readdirSync(path.join(models, id)).map((name) => ({
    path: name,
    size: statSync(path.join(models, id, name)).size,
    sha256: '0'.repeat(64),
  }));
  return JSON.stringify({ id, repo: 'toy/toy', revision: '0'.repeat(40), source: 'hub', installed: 1795478400, files });
}
