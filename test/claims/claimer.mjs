/**
 * A process that takes claims: `claimer.mjs ACTION FOLDER [...]`. It prints `ready` on stdout.
 *
 * - `take`, `hold`: claims and keeps running. `parent`: claims, starts a child that outlives it, prints the child's pid,
 *   and keeps running.
 * - `look`: prints the state of the claim and ends.
 * - `race ID LOG`: takes and releases the claim in an endless loop, and logs every entry and exit.
 */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { hold, look, take } from '../../src/claims/claim.mjs';

const [deed, folder, id, log] = process.argv.slice(2);
if (deed === 'look') console.log(await look(folder));
else if (deed === 'race') {
  const note = (what) => appendFileSync(log, `${what} ${id}\n`);
  for (;;) {
    const claim = await take(folder);
    note('in');
    await pause(Math.random() * 5);
    note('out');
    claim.release();
  }
} else {
  await (deed === 'hold' ? hold : take)(folder);
  const child = deed === 'parent' && spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  console.log(`ready ${child ? child.pid : ''}`);
  setInterval(() => undefined, 1000);
}
