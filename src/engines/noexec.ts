import { readFileSync, realpathSync } from 'node:fs';

/** Whether the folder is on a file system that is mounted `noexec`; false where that is unknown, and outside Linux. */
export function isNoexec(folder: string): boolean {
  try {
    return optionsOf(realpathSync(folder), readFileSync('/proc/self/mountinfo', 'utf8')).includes('noexec');
  } catch {
    return false;
  }
}

/**
 * Options of the mount that contains a folder: the longest mount point, and of several the last, which hides the others.
 */
export function optionsOf(folder: string, mountinfo: string): string[] {
  let best: { at: string; options: string[] } = { at: '', options: [] };
  for (const line of mountinfo.split('\n')) {
    const [, , , , point, options] = line.split(' ');
    if (point === undefined || options === undefined) continue;
    const at = point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const holds = folder === at || folder.startsWith(at.endsWith('/') ? at : `${at}/`);
    if (holds && at.length >= best.at.length) best = { at, options: options.split(',') };
  }
  return best.options;
}
