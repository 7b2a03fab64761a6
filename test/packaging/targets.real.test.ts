import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addonFiles } from '../../packaging/addon.ts';
import { buildExecutable } from '../../packaging/executable.ts';
import { executableName, hostTarget, type Target, targets } from '../../packaging/targets.ts';
import { transcribe } from '../setup/api.ts';
import { executableFor } from '../setup/build.ts';
import { audio, checkout } from '../setup/checkout.ts';
import { missingPackages } from '../setup/debian.ts';
import { startGateway } from '../setup/gateway.ts';
import { type Image, readElf } from './elf.ts';
import { expectSigned, expectSound, readMachO } from './mach-o.ts';
import { readPortableExecutable } from './portable-executable.ts';

/** The magic number at the start of the blob in which Node packs program and files. */
const SEA_MAGIC = 0x0143da20;
const fuse = Buffer.from('NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:');
const jfk = audio('english/jfk.flac');
const { version } = JSON.parse(readFileSync(path.join(checkout, 'package.json'), 'utf8'));

const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-targets-'));
const built = new Map<Target, string>();
beforeAll(async () => {
  for (const target of targets) built.set(target, await executableFor(target));
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fileOf = (target: Target) => built.get(target)!;
const targetNamed = (triple: string) => targets.find((target) => target.triple === triple)!;

function read(target: Target, image: Buffer): Image {
  if (target.platform === 'win32') return readPortableExecutable(image);
  return target.platform === 'darwin' ? readMachO(image) : readElf(image);
}

test('a build makes one executable for each target', () => {
  for (const target of targets) {
    expect(path.basename(fileOf(target))).toBe(executableName(target));
    expect(statSync(fileOf(target)).size).toBeGreaterThan(50_000_000);
  }
});

describe.each(targets)('the executable for $triple', (target) => {
  test('has the right architecture, the program, the addon of its platform, and the fuse that makes Node load them', () => {
    const image = readFileSync(fileOf(target));
    const { arch, program } = read(target, image);
    expect(arch).toBe(target.arch);
    expect(program.readUInt32LE(0)).toBe(SEA_MAGIC);
    const at = image.indexOf(fuse);
    expect(image.toString('latin1', at + fuse.length, at + fuse.length + 1)).toBe('1');

    const addons = targets.map((one) => ({ one, file: addonFiles(one).find((file) => file.endsWith('.node'))! }));
    for (const { one, file } of addons) {
      expect(program.includes(readFileSync(path.join(checkout, file))), file).toBe(one === target);
      expect(file).toContain(`${one.platform}/${one.arch}/`);
    }
    for (const licensed of [
      'Node.js is licensed for use as follows',
      'libsodium',
      'MPL-2.0',
      'fastify',
      'Astral Software',
    ])
      expect(program.includes(licensed), licensed).toBe(true);
  });
});

test.each(targets.filter(({ platform }) => platform === 'darwin'))(
  'the executable for $triple passes the checks of macOS for layout and signature',
  (target) => {
    expectSound(readFileSync(fileOf(target)), 'asrpro');
    if (target.arch === 'x64') return;
    const addon = addonFiles(target).find((file) => file.endsWith('.node'))!;
    expectSigned(readFileSync(path.join(checkout, addon)));
  },
);

test.each(targets.filter(({ platform }) => platform === 'win32'))(
  'the executable for $triple has our name in its version resource',
  (target) => {
    const image = readPortableExecutable(readFileSync(fileOf(target)));
    expect(image.console).toBe(true);
    expect(image.signatureBytes, "Node's signature is gone").toBe(0);
    const ours = { ProductName: 'asrpro', FileDescription: 'asrpro', FileVersion: version };
    expect(image.version).toMatchObject({ ...ours, OriginalFilename: executableName(target) });
    // An icon here would be Node's.
    for (const icon of [3, 14]) expect(image.types).not.toContain(icon);
  },
);

test('a build without uv and without a snapshot starts, transcribes, and is smaller by more than 15 MB', async () => {
  const file = await buildExecutable(hostTarget(), { uv: false, snapshot: false, into: folder });
  expect(statSync(file).size).toBeLessThan(statSync(fileOf(hostTarget())).size - 15_000_000);
  const gateway = await startGateway({ command: [file, 'serve'], mock: true });
  expect((await transcribe(gateway.url, jfk)).status).toBe(200);
});

test('the executable for Linux on ARM starts on an emulated processor', async ({ skip }) => {
  const missing = await missingPackages('qemu-user-static', 'libc6-arm64-cross', 'libstdc++6-arm64-cross');
  if (missing) return skip(missing);
  const file = fileOf(targetNamed('aarch64-unknown-linux-gnu'));
  const emulator = ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', file];
  expect((await execa(emulator[0]!, [...emulator.slice(1), '--version'])).stdout).toBe(version);
  const gateway = await startGateway({ command: [...emulator, 'serve'], mock: true });
  expect((await transcribe(gateway.url, jfk)).status).toBe(200);
});

test('a snapshot starts on an older processor than the one it was made on', async ({ skip }) => {
  const host = hostTarget();
  const missing = host.arch === 'x64' ? await missingPackages('qemu-user-static') : 'it is about processors of Intel';
  if (missing) return skip(missing);
  const emulator = ['-cpu', 'Westmere', fileOf(host), '--version'];
  expect((await execa('qemu-x86_64-static', emulator)).stdout).toBe(version);
});
