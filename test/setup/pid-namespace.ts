/**
 * Prefix of a command line that runs a program in its own pid namespace, as a container does. All processes in it end with
 * `unshare`. A user who is not root also needs a user namespace.
 */
export const inPidNamespace: readonly string[] = [
  'unshare',
  ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
  ...['--pid', '--fork', '--kill-child', '--mount-proc'],
];
