/**
 * The main script of an executable that was built on another platform, so without a snapshot: every start loads the
 * program.
 */
import { runCommandLine } from '../src/cli/run.ts';

runCommandLine(process.argv.slice(2), process.env).then((code) => {
  process.exitCode = code;
});
