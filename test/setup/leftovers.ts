import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Environment variable that all descendants of a gateway under test inherit. */
export const familyVariable = 'ASRPRO_TEST_FAMILY';

/** Living processes of the family, as `pid command line`. Empty on systems without /proc. */
export function familyProcesses(family: string): string[] {
  if (!existsSync('/proc/self/environ')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && environment(name).includes(`${familyVariable}=${family}`))
    .map((pid) => `${pid} ${contents(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);
}

/** Files in the run directory of a home: sockets, uploads and temporary files. */
export function runFiles(home: string): string[] {
  const run = path.join(home, 'run');
  return existsSync(run) ? readdirSync(run, { recursive: true }).map(String) : [];
}

/** Empty for a process that has ended, also while it is a zombie. */
function environment(pid: string): string[] {
  return contents(`/proc/${pid}/environ`).split('\0');
}

function contents(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
