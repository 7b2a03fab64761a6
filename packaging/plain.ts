/** The main script of an executable for another platform than the one that builds it: it loads at every start. */
import { runCommandLine } from '../src/cli/run.ts';

runCommandLine(process.argv.slice(2), process.env).then((code) => {
  process.exitCode = code;
});
