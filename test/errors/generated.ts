/** Writes the table of docs/errors.md from src/errors.ts: `npm run schema`. A test fails when it is stale. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ErrorKind, errorKinds } from '../../src/errors.ts';
import { checkout } from '../setup/checkout.ts';

export const errorsFile: string = path.join(checkout, 'docs', 'errors.md');

/** The page with the table that is generated from the catalogue. */
export function withErrorTable(page: string): string {
  const rows = Object.entries<ErrorKind>(errorKinds).map(([code, { status, type, retryable, exitCode, ...kind }]) => {
    const wire = kind.code === null ? `\`${code}\` (sent as null)` : `\`${code}\``;
    return `| ${wire} | ${status} | \`${type}\` | ${retryable ? 'yes' : 'no'} | ${exitCode ?? 1} | ${kind.meaning} |`;
  });
  const head = ['| code | status | type | retry | exit | when, and what to do |', '|---|---|---|---|---|---|'];
  return page.replace(/\| code \| status \|.*?\n\n/s, `${[...head, ...rows].join('\n')}\n\n`);
}

if (import.meta.main) writeFileSync(errorsFile, withErrorTable(readFileSync(errorsFile, 'utf8')));
