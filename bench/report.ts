import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkout } from '../test/setup/checkout.ts';
import { plot } from './plot.ts';
import { holds, type Measured, type Row } from './row.ts';

const docs = path.join(checkout, 'docs');
const results = path.join(checkout, 'bench', 'results');

/** Writes docs/benchmarks.md with its plots, and all figures as JSON. */
export function writeReport(measured: Record<string, Measured>, full: boolean, skipped: readonly string[]): void {
  const day = new Date().toISOString();
  const plots = path.join(docs, 'benchmarks');
  mkdirSync(plots, { recursive: true });
  mkdirSync(results, { recursive: true });
  const parts = Object.entries(measured).map(([name, { rows, charts }]) => {
    const images = charts.map((chart, index) => {
      const file = `${name}-${index + 1}.svg`;
      writeFileSync(path.join(plots, file), plot(chart));
      return `![${chart.title}](benchmarks/${file})`;
    });
    return [`## ${name}`, '', table(rows), '', ...images].join('\n');
  });
  const rows = Object.values(measured).flatMap((one) => one.rows);
  const page = [
    '# Benchmarks',
    '',
    `Written by \`npm run bench${full ? ':full' : ''}\` on ${day.slice(0, 10)}: ${machine()}. Runs of the contenders are`,
    'interleaved; figures are medians with the lowest and highest in parentheses, ratios the median over pairs measured',
    'one right after the other. "in-process" is faster-whisper called directly with its defaults and int8; agent-cli is',
    'the server a user could pick instead. CPU time counts every process.',
    '',
    `${rows.filter(holds).length} of ${rows.length} rows hold.${skipped.length > 0 ? ` Not measured: ${skipped.join('; ')}.` : ''}`,
    '',
    ...parts,
    '',
  ].join('\n');
  writeFileSync(path.join(docs, 'benchmarks.md'), page);
  const file = path.join(results, `${day.replaceAll(':', '-')}.json`);
  writeFileSync(file, JSON.stringify({ day, machine: machine(), load: os.loadavg(), full, measured }, null, 2));
  console.log(`docs/benchmarks.md and ${path.relative(checkout, file)} are written`);
}

/** One line for each row, for the terminal. */
export function summary(row: Row): string {
  return `${holds(row) ? 'holds' : 'SHORT'}  ${row.name}: ${figure(row)} (at most ${row.target} ${row.unit}) ${row.detail}`;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const target = `${row.target} ${row.unit}`.trim();
    return `| ${row.name} | ${figure(row)} | ${target} | ${holds(row) ? 'yes' : '**no**'} | ${row.detail} |`;
  });
  return ['| what | measured | at most | holds | figures |', '|---|---|---|---|---|', ...lines].join('\n');
}

function figure({ value, unit }: Row): string {
  return `${Number.isInteger(value) ? value : value.toFixed(2)} ${unit}`.trim();
}

function machine(): string {
  const [cpu] = os.cpus();
  const memory = Math.round(os.totalmem() / 2 ** 30);
  return `${os.availableParallelism()} cores ${cpu?.model.trim()}, ${memory} GB, ${os.type()} ${os.release()}`;
}
