import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, vi } from 'vitest';
import { buildServices, type Services } from '../../src/app.ts';
import { resolvePaths } from '../../src/config/paths.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createHttpServer, type HttpServer } from '../../src/http/server.ts';
import { createLog } from '../../src/log.ts';

export interface MockGateway extends AsyncDisposable {
  url: string;
  port: number;
  services: Services;
  server: HttpServer;
  /** Names of the uploads in the spool. */
  spooled(): string[];
}

/**
 * Starts the whole gateway with the mock worker in this process, on a free port. Disposing stops it as `serve` does and
 * asserts that no upload is left.
 *
 * @param config part of the configuration, for example `{ server: { maxUploadBytes: 1000 } }`.
 */
export async function mockGateway(
  config: { server?: object; models?: object; device?: object } = {},
): Promise<MockGateway> {
  const home = mkdtempSync(path.join(os.tmpdir(), 'asrpro-http-'));
  const services = await buildServices({
    config: configSchema.parse({ ...config, server: { port: 0, drainSeconds: 1, ...config.server } }),
    paths: resolvePaths({ ASRPRO_HOME: home }),
    log: createLog({ level: 'silent', format: 'json' }),
    environment: {},
    mock: true,
  });
  const spoolDirectory = services.run.spool;
  const server = await createHttpServer({ ...services, version: '0.0.0', startedAt: Date.now(), spoolDirectory });
  const dispose = async (): Promise<void> => {
    await services.close();
    rmSync(home, { recursive: true, force: true });
  };
  const { url, port } = await server.listen().catch(async (error) => {
    await dispose();
    throw error;
  });
  // Closing the services removes the folder.
  const spooled = (): string[] => (existsSync(spoolDirectory) ? readdirSync(spoolDirectory) : []);
  return {
    url,
    port,
    services,
    server,
    spooled,
    async [Symbol.asyncDispose]() {
      await Promise.all([server.close(), services.residency.close(0)]);
      // An upload is removed after its answer was sent.
      await vi.waitFor(() => expect(spooled(), 'uploads left behind').toEqual([]));
      await dispose();
    },
  };
}
