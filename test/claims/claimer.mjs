/**
 * A process that claims. `claimer.mjs DEED FOLDER [...]`; says `ready` on stdout.
 *
 * - `take`, `hold`: claims and stays. `parent`: claims, starts a child that outlives it, says the child's pid, stays.
 * - `look`: says what it sees, and ends.
 * - `race ID LOG`: takes and gives back without end, noting every entry and exit.
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
