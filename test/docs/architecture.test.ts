import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { initialState } from '../../src/residency/state.ts';
import { gatewayMessage, workerMessage } from '../../src/wire/messages.ts';
import { transitions } from '../../src/worker/worker.ts';
import { checkout } from '../setup/checkout.ts';

const page = readFileSync(path.join(checkout, 'docs', 'architecture.md'), 'utf8');

/** The part of the page from one text to the next. */
function section(from: string, to: string): string {
  expect(page).toContain(from);
  return page.slice(page.indexOf(from), page.indexOf(to, page.indexOf(from)));
}

test('every file and folder that the page names exists', () => {
  const named = [...page.matchAll(/`((?:src|test|python-runtime)\/[\w./-]+)`/g)].map(([, file]) => file!);
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((file) => !existsSync(path.join(checkout, file)))).toEqual([]);
});

test('the states of a worker are those of the code', () => {
  const rows = [...section('**A worker process**', 'It never ends itself').matchAll(/^(\w+) +-> (.+)$/gm)];
  const documented = Object.fromEntries(rows.map(([, state, next]) => [state!, next!.split(', ')]));
  const inCode = Object.entries(transitions).filter(([, next]) => next.length > 0);
  expect(documented).toEqual(Object.fromEntries(inCode));
});

test('the fields of the machine are those of its state', () => {
  const block = section('**The machine**', '`src/residency/state.ts` declares');
  const fields = [...block.matchAll(/^(\w+) {2,}\S/gm)].map(([, field]) => field!);
  expect(fields.length).toBeGreaterThan(5);
  const state = initialState({ maxQueue: 1, queueSeconds: 1, drainSeconds: 1 });
  for (const field of fields) expect(state).toHaveProperty([field]);
});

test('the table of the wire has every message, in its direction', () => {
  const rows = [...section('| gateway to worker', 'Audio crosses').matchAll(/^\| (.*?) ?\| (.*) \|$/gm)].slice(1);
  const names = (cells: string[]): string[] => {
    const found = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
    return found.filter((name) => name !== 'ray').sort();
  };
  const types = (schema: typeof gatewayMessage | typeof workerMessage): string[] =>
    schema.options.map((option) => option.shape.type.value).sort();
  expect(names(rows.map(([, left]) => left!))).toEqual(types(gatewayMessage));
  expect(names(rows.map(([, , right]) => right!))).toEqual(types(workerMessage));
});

test('the claims of the table are made somewhere in the code', () => {
  const sources = globSync(['src/**/*.{ts,mjs}', 'packaging/*.ts'], { cwd: checkout });
  const code = sources.map((file) => readFileSync(path.join(checkout, file), 'utf8')).join('\n');
  const names = [
    ...section('| claim | holders', '- A claim appears').matchAll(/(\.claims|[\w]*\.claim|\.[a-z-]+)(?=[`/])/g),
  ];
  expect(names.length).toBeGreaterThan(5);
  for (const [, name] of names) expect(code).toContain(name!.replace('ENGINE', ''));
});
