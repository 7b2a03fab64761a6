/**
 * The main script of the executable. It runs when the executable is built; every start goes on from the heap that it left,
 * with the modules of `serve` loaded, which takes a third less time than to load them.
 *
 * So nothing in these modules may look at the environment, the machine or the clock while it loads, and nothing may hold
 * a socket. Modules that are imported later (`import()`) load as always.
 */
import { startupSnapshot } from 'node:v8';
import '../src/app.ts';
import { configOverrides, parseOptions } from '../src/cli/options.ts';
import { runCommandLine } from '../src/cli/run.ts';
import { serve } from '../src/cli/serve.ts';
import { loadConfig } from '../src/config/load.ts';
import '../src/devices/devices.ts';
import '../src/downloads/downloads.ts';
import '../src/engines/engines.ts';
import { createHttpServer, type HttpServerDeps } from '../src/http/server.ts';
import '../src/models/library.ts';

startupSnapshot.setDeserializeMainFunction(() => {
  runCommandLine(process.argv.slice(2), process.env).then((code) => {
    process.exitCode = code;
  });
});

/** Done once here and thrown away: the code that every start runs is in the snapshot compiled. */
const { flags } = parseOptions(['--port', '0', '--watch-stdin'], serve.options);
const { config } = loadConfig({ file: '', environment: {}, flags: configOverrides(flags, serve.options) });
void createHttpServer({ config } as HttpServerDeps);
