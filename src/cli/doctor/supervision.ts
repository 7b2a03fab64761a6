import { readdirSync } from 'node:fs';
import { lastCrash } from '../../config/store.ts';
import { staleRunDirectories } from '../../wire/run-directory.ts';
import type { Finding, Section } from './section.ts';

/** Running gateways, what dead ones left, and the last end of a worker that nobody had asked for. */
export const supervision: Section = {
  title: 'Supervision',
  key: 'supervision',
  async examine(_services, { paths }) {
    const stale = staleRunDirectories(paths.run);
    // One of them is this command's own.
    const others = readdirSync(paths.run).length - 1;
    const crash = await lastCrash(paths).get();
    const findings: Finding[] = [
      { name: 'run directory', state: 'ok', detail: `${paths.run}` },
      {
        name: 'gateways',
        state: 'ok',
        detail: others === 0 ? 'no other is running' : `${others} running beside this command`,
      },
      {
        name: 'leftovers',
        state: stale.length === 0 ? 'ok' : 'absent',
        detail: stale.length === 0 ? 'none' : `${stale.length} folders of dead gateways; the next start removes them`,
      },
      { name: 'last crash', state: 'ok', detail: crash === null ? 'none' : `${crash.at}: ${crash.words}` },
    ];
    return findings;
  },
};
