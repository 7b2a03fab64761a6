/**
 * The main script of the executable. It runs when the executable is built; every start goes on from the heap that it left,
 * with the modules of `serve` loaded, which takes a third less time than to load them.
 *
 * So nothing in these modules may look at the environment, the machine or the clock while it loads, and nothing may hold
 * a socket. Modules that are imported later (`import()`) load as always.
 */
import { startupSnapshot } from 'node:v8';
import '../src/app.ts';
import '../src/cli/serve.ts';
import { runCommandLine } from '../src/cli/run.ts';
import '../src/devices/devices.ts';
import '../src/downloads/downloads.ts';
import '../src/engines/engines.ts';
import '../src/http/server.ts';
import '../src/models/library.ts';

startupSnapshot.setDeserializeMainFunction(() => {
  runCommandLine(process.argv.slice(2), process.env).then((code) => {
    process.exitCode = code;
  });
});
