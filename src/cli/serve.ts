import path from 'node:path';
import type { Services } from '../app.ts';
import { selectedModel } from '../config/store.ts';
import { packageFile } from '../package-files.ts';
import { version } from '../version.ts';
import type { Command, CommandContext } from './command.ts';
import { findModel } from './find-model.ts';
import { sampleCall } from './sample-call.ts';
import { stopWithStdin } from './stdin.ts';

export const serve: Command = {
  name: 'serve',
  summary: 'run the gateway',
  usage: 'serve [--port N] [--model ID] [--setup] [--watch-stdin] [--mock]',
  maxArguments: 0,
  longRunning: true,
  options: {
    host: { type: 'string', config: 'server.host', description: 'ADDRESS to listen on.' },
    port: {
      type: 'string',
      short: 'p',
      config: 'server.port',
      description: 'PORT to listen on; 0 takes any free port.',
    },
    model: {
      type: 'string',
      description: 'ID of a model to load before the ready line; `last`: the model that was selected last.',
    },
    setup: { type: 'boolean', description: 'Install a missing engine and the default model first.' },
    'watch-stdin': {
      type: 'boolean',
      description: 'Stop when stdin ends, so that asrpro ends with the app that started it.',
    },
    mock: { type: 'boolean', description: "Use a built-in fake worker without Python, for an app's own tests." },
    'mock-pace': { type: 'string', description: 'SECONDS between two segments of `mock-slow`; default 1.' },
  },
  async run(context) {
    const stop = context.flags['watch-stdin'] ? stopWithStdin(context.signal) : context.signal;
    const startedAt = Date.now();
    const [services, { createHttpServer }, { randomUUID }] = await Promise.all([
      context.services(),
      import('../http/server.ts'),
      import('node:crypto'),
    ]);
    if (context.flags.setup && !context.flags.mock) {
      const { installMissing } = await import('./install-missing.ts');
      if (!(await finished(installMissing(context, services), stop))) return;
    }
    const model = await modelToLoad(context, services);
    const server = await createHttpServer({ ...services, version, startedAt, spoolDirectory: services.run.spool });
    const { url, host, port } = await server.listen();
    try {
      const loaded = model === undefined || (await finished(services.residency.load(model), stop));
      if (loaded && !stop.aborted) {
        const ready = { event: 'ready', url, host, port, pid: process.pid, version, instance: randomUUID() };
        context.terminal.out.write(`${JSON.stringify(ready)}\n`);
        announce(context, url);
        await aborted(stop);
      }
      context.log.info('stopping');
    } finally {
      // Both share one deadline: running requests are answered while no new ones are accepted.
      await services.close(server.close());
    }
  },
};

async function modelToLoad({ flags, paths, log }: CommandContext, { library }: Services) {
  if (typeof flags.model !== 'string') return undefined;
  if (flags.model !== 'last') return await findModel(library, flags.model);
  const last = await selectedModel(paths).get();
  const model = last === null ? undefined : await library.find(last);
  if (last === null || model?.downloaded) return model;
  // Another program may have deleted it. An app that always passes `last` must still start.
  log.warn({ model: last }, 'the model that was selected last is no longer installed');
  return undefined;
}

/** Prints the address for a person at a terminal; an app reads the ready line. */
function announce({ terminal, flags, config }: CommandContext, url: string): void {
  if (terminal.quiet) return;
  const sample = path.relative(process.cwd(), packageFile('test/audio/english/jfk.flac'));
  terminal.err.write(
    [
      '',
      `  asrpro ${version}${flags.mock ? ' (mock)' : ''} listens on ${url}`,
      '  Try it:',
      '',
      `  ${sampleCall(url, sample, config.server.apiKey !== null)}`,
      '',
      '',
    ].join('\n'),
  );
}

/** Returns false if asrpro is asked to stop first; the work then ends when the services are closed. */
async function finished(work: Promise<unknown>, stop: AbortSignal): Promise<boolean> {
  const done = work.then(() => true);
  done.catch(() => undefined);
  return await Promise.race([done, aborted(stop).then(() => false)]);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
