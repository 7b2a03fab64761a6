import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkout } from '../setup/checkout.ts';

const pages = ['*.md', 'docs/*.md', 'examples/*/README.md'].flatMap((pattern) => globSync(pattern, { cwd: checkout }));
const outside = /^(?:https?:|mailto:|#)/;

test('every file and heading that a page links to exists', () => {
  const links = pages.flatMap((page) => {
    const text = readFileSync(path.join(checkout, page), 'utf8');
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => ({ page, target: target! }))
      .filter(({ target }) => !outside.test(target));
  });
  expect(links.length).toBeGreaterThan(20);
  const broken = links.filter(({ page, target }) => {
    const [file, heading] = target.split('#') as [string, string | undefined];
    const linked = path.join(checkout, path.dirname(page), file);
    return !existsSync(linked) || (heading !== undefined && !headingsOf(linked).includes(heading));
  });
  expect(broken).toEqual([]);
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
