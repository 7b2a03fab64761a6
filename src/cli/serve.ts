import path from 'node:path';
import type { Services } from '../app.ts';
import { selectedModel } from '../config/store.ts';
import { AsrproError } from '../errors.ts';
import { packageFile } from '../package-files.ts';
import { version } from '../version.ts';
import type { Command, CommandContext } from './command.ts';
import { stopWithStdin } from './stdin.ts';

export const serve: Command = {
  name: 'serve',
  summary: 'run the gateway',
  usage: 'serve [--port N] [--model ID] [--setup] [--watch-stdin] [--mock]',
  longRunning: true,
  options: {
    host: { type: 'string', config: 'server.host', description: 'ADDRESS to listen on.' },
    port: {
      type: 'string',
      short: 'p',
      config: 'server.port',
      description: 'PORT to listen on; 0 takes any free one.',
    },
    model: {
      type: 'string',
      description: 'ID of a model to load before ready is announced; `last`: the one selected last.',
    },
    setup: { type: 'boolean', description: 'First install the engine and the model that are missing.' },
    'watch-stdin': { type: 'boolean', description: 'Stop when stdin ends: for the app that started us.' },
    mock: { type: 'boolean', description: 'Built-in fake worker, no Python: for the tests of an app.' },
    'mock-pace': { type: 'string', description: 'SECONDS between two segments of `mock-slow`; 1 when absent.' },
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
      // One limit for both: what runs is answered, and nothing else is accepted meanwhile.
      await services.close(server.close());
    }
  },
};

async function modelToLoad({ flags, paths }: CommandContext, { library }: Services) {
  if (typeof flags.model !== 'string') return undefined;
  const reference = flags.model === 'last' ? await selectedModel(paths).get() : flags.model;
  if (reference === null) return undefined;
  const model = await library.find(reference);
  if (model !== undefined) return model;
  throw new AsrproError('model_not_found', `The model '${reference}' does not exist.`, {
    param: 'model',
    hint: '`asrpro models` lists all models.',
  });
}

/** For a person at a terminal; an app reads the ready line. */
function announce({ terminal, flags, config }: CommandContext, url: string): void {
  if (terminal.quiet) return;
  const sample = path.relative(process.cwd(), packageFile('test/audio/english/jfk.flac'));
  const key = config.server.apiKey === null ? '' : ' -H "Authorization: Bearer $ASRPRO_SERVER_API_KEY"';
  terminal.err.write(
    [
      '',
      `  asrpro ${version}${flags.mock ? ' (mock)' : ''} listens on ${url}`,
      '  Try it:',
      '',
      `  curl ${url}/v1/audio/transcriptions${key} -F file=@${sample} -F response_format=text`,
      '',
      '',
    ].join('\n'),
  );
}

/** false: it was asked to stop meanwhile; the work ends when the program's rooms are closed. */
async function finished(work: Promise<unknown>, stop: AbortSignal): Promise<boolean> {
  const done = work.then(() => true);
  done.catch(() => undefined);
  return await Promise.race([done, aborted(stop).then(() => false)]);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
