import { createHash } from 'node:crypto';

/** Name of uv's wheel among the files in the executable. */
export const UV_ASSET = 'uv.whl';

/** uv's wheel in the executable; null where there is none or another version, or where asrpro runs from the npm package. */
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

/** Whether asrpro runs as the single executable. The first versions of Node 20 have no `node:sea`. */
export async function isExecutable(): Promise<boolean> {
  return await import('node:sea').then(
    ({ isSea }) => isSea(),
    () => false,
  );
}
