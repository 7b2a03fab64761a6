import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';

const pages = ['*.md', 'docs/*.md', 'examples/*/README.md'].flatMap((pattern) => globSync(pattern, { cwd: checkout }));
const outside = /^(?:https?:|mailto:|#)/;

test.each(pages)('every file and heading that %s links to exists', (page) => {
  const text = readFileSync(path.join(checkout, page), 'utf8');
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !outside.test(target));
  for (const target of targets) {
    const [file, heading] = target.split('#') as [string, string | undefined];
    const linked = path.join(checkout, path.dirname(page), file);
    expect(existsSync(linked), target).toBe(true);
    if (heading !== undefined) expect(headingsOf(linked), target).toContain(heading);
  }
});

/** The anchor of a heading, as the usual hosts build it. */
function headingsOf(file: string): string[] {
  const lines = readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm);
  return [...lines].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
