/** `npm run bench [NAME...]`: measures, and prints what it found. */
import { installForTests } from '../test/setup/shared-home.ts';
import { downloads } from './downloads.ts';
import { lifeAfterApp } from './kill.ts';
import { start } from './start.ts';
import { wordErrorRate } from './wer.ts';

const benches: Record<string, () => Promise<void>> = { wer: wordErrorRate, downloads, start, kill: lifeAfterApp };

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benches);
await installForTests();
for (const name of names) await benches[name]!();
