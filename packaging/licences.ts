import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './places.ts';

interface PackageFacts {
  name: string;
  version: string;
  license?: string;
  author?: string | { name?: string };
}

/** Name, version and licence text of every npm package that the given files belong to. */
export function licencesOf(files: readonly string[]): string {
  const folders = new Set(files.map(packageFolder).filter((folder) => folder !== null));
  return joined([...folders].sort().map(licenceOf));
}

export function joined(texts: readonly string[]): string {
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

function packageFolder(file: string): string | null {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file.replaceAll('\\', '/'))?.[0] ?? null;
}

function licenceOf(relative: string): string {
  const folder = path.join(root, relative);
  const { name, version, license, author } = JSON.parse(
    readFileSync(path.join(folder, 'package.json'), 'utf8'),
  ) as PackageFacts;
  const texts = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .sort()
    .map((file) => readFileSync(path.join(folder, file), 'utf8').trim());
  if (texts.length === 0) {
    const owner = typeof author === 'string' ? author : author?.name;
    if (!license || !owner) throw new Error(`the package ${name} names no licence, or no owner`);
    texts.push(`By ${owner}, under the licence ${license}.`);
  }
  return `${name} ${version} (${license ?? 'see below'})\n\n${texts.join('\n\n')}\n`;
}
