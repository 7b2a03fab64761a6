import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, onTestFinished, vi } from 'vitest';
import { createHome } from './create-home.ts';
import { temporaryHome } from './home.ts';
import { type Gateway, type LaunchOptions, launchGateway } from './launch.ts';
import { runFiles } from './leftovers.ts';

/** Without `home` the gateway gets a new one: with the shared engines and models, or empty with `mock`. */
export type GatewayOptions = Omit<LaunchOptions, 'home'> & { home?: string };

/**
 * Starts a gateway for the running test and stops it after the test. The test fails if the gateway leaves a process or a
 * file in the run directory.
 */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const home = options.home ?? temporaryHome({ installed: !options.mock });
  const gateway = await launchGateway({ ...options, home });
  onTestFinished(() => stop(gateway));
  return gateway;
}

/** Like startGateway, but one gateway for all tests of a file or of a `describe`. Returns a function that returns it. */
export function gatewayForAll(options: Omit<GatewayOptions, 'home'> = {}): () => Gateway {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await launchGateway({ ...options, home: createHome(!options.mock) });
  });
  afterAll(async () => {
    await stop(gateway);
    rmSync(gateway.home, { recursive: true, force: true });
  });
  return () => gateway;
}

async function stop(gateway: Gateway): Promise<void> {
  await gateway.stop();
  await vi.waitFor(() => expect(gateway.processes(), 'processes left behind').toEqual([]), { timeout: 10_000 });
  // The next gateway on the home removes the files of a killed one.
  if (gateway.process.signalCode !== 'SIGKILL') expect(runFiles(gateway.home), 'files left behind').toEqual([]);
}
