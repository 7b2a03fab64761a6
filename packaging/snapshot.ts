/**
 * The main script of the executable. It runs at build time; every start continues from its heap, in which the modules of
 * `serve` are loaded, and takes a third less time. While these modules load, they must not read the environment, the machine
 * or the clock, or hold a socket. Modules behind `import()` load as usual.
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

/** A trial run, so that the snapshot contains the compiled code of a start. */
const { flags } = parseOptions(['--port', '0', '--watch-stdin'], serve.options);
const { config } = loadConfig({ file: '', environment: {}, flags: configOverrides(flags, serve.options) });
void createHttpServer({ config } as HttpServerDeps);
