import { expect, onTestFinished, vi } from 'vitest';
import { temporaryHome } from './home.ts';
import { type Gateway, type LaunchOptions, launchGateway } from './launch.ts';
import { runFiles } from './leftovers.ts';

/** `home` is a fresh one when absent: with the shared engines and models, or empty with `mock`. */
export type GatewayOptions = Omit<LaunchOptions, 'home'> & { home?: string };

/**
 * A gateway for the running test. When the test has finished it is stopped, and the test fails if a process or a file in
 * the run directory is left behind.
 */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const home = options.home ?? temporaryHome({ installed: !options.mock });
  const gateway = await launchGateway({ ...options, home });
  onTestFinished(async () => {
    await gateway.stop();
    await vi.waitFor(() => expect(gateway.processes(), 'processes left behind').toEqual([]), { timeout: 10_000 });
    // A killed gateway leaves its files to the next one, which the test then starts on the same home.
    if (gateway.process.signalCode !== 'SIGKILL') expect(runFiles(home), 'files left behind').toEqual([]);
  });
  return gateway;
}
