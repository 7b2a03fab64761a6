import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkout } from '../test/setup/checkout.ts';
import { plot } from './plot.ts';
import { reasonOf } from './reasons.ts';
import { holds, type Measured, type Row } from './row.ts';

const docs = path.join(checkout, 'docs');
const results = path.join(checkout, 'bench', 'results');

/** The figures of one measurement with their date and machine. */
interface Kept extends Measured {
  day: string;
  machine: string;
  load: number[];
  full: boolean;
}

/** Keeps the newest figures of a measurement. */
export function keep(name: string, measured: Measured, full: boolean): void {
  const kept: Kept = { day: new Date().toISOString(), machine: machine(), load: os.loadavg(), full, ...measured };
  mkdirSync(results, { recursive: true });
  writeFileSync(fileOf(name), JSON.stringify(kept, null, 2));
}

/** Writes docs/benchmarks.md with its plots from the newest kept figures of each measurement. */
export function writeReport(names: readonly string[], skipped: readonly string[]): void {
  const plots = path.join(docs, 'benchmarks');
  mkdirSync(plots, { recursive: true });
  const kept = names
    .filter((name) => existsSync(fileOf(name)))
    .map((name) => [name, JSON.parse(readFileSync(fileOf(name), 'utf8')) as Kept] as const);
  const parts = kept.map(([name, { day, full, load, rows, charts }]) => {
    const images = charts.map((chart, index) => {
      const file = `${name}-${index + 1}.svg`;
      writeFileSync(path.join(plots, file), plot(chart));
      return `![${chart.title}](benchmarks/${file})`;
    });
    const when = `Measured ${day.slice(0, 10)}${full ? ' with `bench:full`' : ''}, load of the machine ${load[0]?.toFixed(1)}.`;
    return [`## ${name}`, '', when, '', table(rows), '', ...shortfalls(rows), ...images, ''].join('\n');
  });
  const rows = kept.flatMap(([, one]) => one.rows);
  const page = [
    '# Benchmarks',
    '',
    `Written by \`npm run bench\` on ${kept[0]?.[1].machine ?? machine()}. Runs of the contenders are`,
    'interleaved; figures are medians with the lowest and highest in parentheses, ratios the median over pairs measured',
    'one right after the other. "in-process" is faster-whisper called directly with its defaults and int8; agent-cli is',
    'the server a user could pick instead. CPU time counts every process. What was tried: [performance.md](performance.md).',
    '',
    `${rows.filter(holds).length} of ${rows.length} rows hold.${skipped.length > 0 ? ` Not measured: ${skipped.join('; ')}.` : ''}`,
    '',
    ...parts,
  ].join('\n');
  writeFileSync(path.join(docs, 'benchmarks.md'), page);
  console.log('docs/benchmarks.md is written');
}

function fileOf(name: string): string {
  return path.join(results, `${name}.json`);
}

/** A row for the terminal, with the reason where it falls short. */
export function summary(row: Row): string {
  const line = `${row.name}: ${figure(row)} (at most ${row.target} ${row.unit}) ${row.detail}`;
  return holds(row) ? `holds  ${line}` : `SHORT  ${line}\n       ${reasonOf(row)}`;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const target = `${row.target} ${row.unit}`.trim();
    return `| ${row.name} | ${figure(row)} | ${target} | ${holds(row) ? 'yes' : '**no**'} | ${row.detail} |`;
  });
  return ['| what | measured | at most | holds | figures |', '|---|---|---|---|---|', ...lines].join('\n');
}

/** A list below the table: every row that falls short says why. */
function shortfalls(rows: readonly Row[]): string[] {
  const lines = rows.filter((row) => !holds(row)).map((row) => `- ${row.name}: ${reasonOf(row)}`);
  return lines.length === 0 ? [] : ['These rows fall short:', '', ...lines, ''];
}

function figure({ value, unit }: Row): string {
  return `${Number.isInteger(value) ? value : value.toFixed(2)} ${unit}`.trim();
}

function machine(): string {
  const [cpu] = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return `${os.availableParallelism()} cores ${cpu?.model.trim()}, ${memory} GB, ${os.type()} ${os.release()}`;
}
