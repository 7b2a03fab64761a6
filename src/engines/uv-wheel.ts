import { AsrproError } from '../errors.ts';

/** The version of uv that asrpro ships or fetches: one program in a wheel of about 18 MB. */
export const UV_VERSION = '0.13.9';

export interface UvWheel {
  file: string;
  /** Of the whole file, as in the index. */
  sha256: string;
}

/** The wheel's tag and sha256 by platform and processor. */
const WHEELS: Record<string, readonly [tag: string, sha256: string]> = {
  'linux x64': [
    'manylinux_2_17_x86_64.manylinux2014_x86_64',
    'd7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19',
  ],
  'linux x64 musl': ['musllinux_1_1_x86_64', '2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25'],
  // One program for both C libraries.
  ...both('linux arm64', [
    'manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64',
    '5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe',
  ]),
  'darwin x64': ['macosx_10_12_x86_64', 'c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5'],
  'darwin arm64': ['macosx_11_0_arm64', '66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63'],
  'win32 x64': ['win_amd64', '6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b'],
  'win32 arm64': ['win_arm64', 'eeb92051c2123b9730c46b04cc843cfa4bc7d7b0aec56df431a2215ef4cb0273'],
};

function both<T>(name: string, value: T): Record<string, T> {
  return { [name]: value, [`${name} musl`]: value };
}

/** The wheel for a platform and processor, with Node's names; null where there is none. */
export function uvWheel(platform: string, arch: string, musl = false): UvWheel | null {
  const [tag, sha256] = WHEELS[`${platform} ${arch}${musl ? ' musl' : ''}`] ?? [];
  if (tag === undefined || sha256 === undefined) return null;
  return { file: `uv-${UV_VERSION}-py3-none-${tag}.whl`, sha256 };
}

/** The wheel for this machine. Throws `engine_install_failed`, whose message is the end of a sentence. */
export function hostUvWheel(): UvWheel {
  const wheel = uvWheel(process.platform, process.arch, isMusl());
  if (wheel !== null) return wheel;
  const message = `there is none for this platform (${process.platform} ${process.arch})`;
  throw new AsrproError('engine_install_failed', message);
}

/** Whether this is a Linux with musl, for example Alpine: Node reports a glibc version only where it runs on glibc. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}
