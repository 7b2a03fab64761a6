import { createHash } from 'node:crypto';

/** Name of the wheel among the files in the executable. */
export const UV_ASSET = 'uv.whl';

/**
 * The wheel of uv that the executable was built with; null where it was built without one, for another version, or where
 * the program is not an executable.
 */
export async function packedUv(sha256: string): Promise<Buffer | null> {
  if (!(await isExecutable())) return null;
  const { getRawAsset } = await import('node:sea');
  try {
    const wheel = Buffer.from(getRawAsset(UV_ASSET));
    return createHash('sha256').update(wheel).digest('hex') === sha256 ? wheel : null;
  } catch {
    return null;
  }
}

/** Beside a Node of the machine may be anything. The first versions of Node 20 do not know what an executable of ours is. */
export async function isExecutable(): Promise<boolean> {
  return await import('node:sea').then(
    ({ isSea }) => isSea(),
    () => false,
  );
}
