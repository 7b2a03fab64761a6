import { lastCrash } from '../../config/store.ts';
import { livingRunDirectories, staleRunDirectories } from '../../wire/run-directory.ts';
import type { EarlySection, Finding } from './section.ts';

/** Running gateways, leftovers of dead ones, and the last crash of a worker. */
export const supervision: EarlySection = {
  title: 'Supervision',
  key: 'supervision',
  async examineEarly({ paths }) {
    const [others, stale] = await Promise.all([livingRunDirectories(paths.run), staleRunDirectories(paths.run)]);
    const crash = await lastCrash(paths).get();
    const folders = `${stale.length} ${stale.length === 1 ? 'folder' : 'folders'}`;
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
        detail: stale.length === 0 ? 'none' : `${folders} of dead gateways; the next start removes them`,
      },
      { name: 'last crash', state: 'ok', detail: crash === null ? 'none' : `${crash.at}: ${crash.words}` },
    ];
    return findings;
  },
};
