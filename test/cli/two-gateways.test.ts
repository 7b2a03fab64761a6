import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { call, post, transcribe } from '../setup/api.ts';
import { audio, mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { type Gateway, launchGateway } from '../setup/launch.ts';
import { inPidNamespace } from '../setup/pid-namespace.ts';
import { runCli } from '../setup/run-cli.ts';

/** Starts a gateway as in a container: it cannot see the processes of the others, but shares their volume. */
async function contained(home: string): Promise<Gateway> {
  const gateway = await launchGateway({
    home,
    mock: true,
    command: [...inPidNamespace, process.execPath, mainProgram, 'serve'],
  });
  onTestFinished(() => void gateway.process.kill('SIGKILL'));
  return gateway;
}

const serves = async ({ url }: Gateway): Promise<void> =>
  expect((await transcribe(url, audio('english/jfk.flac'))).status).toBe(200);

test.runIf(process.platform === 'linux')('two containers share one home', { timeout: 90_000 }, async () => {
  const home = temporaryHome();
  const folders = (): string[] => readdirSync(path.join(home, 'run'));
  const [one, two] = [await contained(home), await contained(home)];
  expect(folders()).toHaveLength(2);
  for (const gateway of [one, two]) {
    await serves(gateway);
    expect((await post(gateway.url, '/v1/models/mock-download/download', {})).status).toBe(202);
  }
  // This command runs outside of both namespaces.
  expect((await runCli(home, ['models', '--json'])).code).toBe(0);
  await serves(one);
  await one.stop('SIGKILL');
  await vi.waitFor(async () => {
    const { supervision } = JSON.parse((await runCli(home, ['doctor', '--json'])).out);
    const said = Object.fromEntries(supervision.map(({ name, detail }: Record<string, string>) => [name, detail]));
    expect(said).toMatchObject({ gateways: '1 running beside this command' });
    expect(said.leftovers).toContain('1 folder of dead gateways');
  }, 30_000);
  // That command has removed the folder of the dead gateway and kept the folder of the living one.
  expect(folders()).toHaveLength(1);
  await serves(two);
  expect((await call(two.url, '/v1/models/mock-download/download')).json.status).toBe('installed');
});
