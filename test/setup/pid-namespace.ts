/**
 * Starts a program in a pid namespace of its own, as a container does: what stands before its command line. Its own
 * processes end with `unshare`. A user who is not root needs a user namespace for it.
 */
export const inPidNamespace: readonly string[] = [
  'unshare',
  ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
  ...['--pid', '--fork', '--kill-child', '--mount-proc'],
];
