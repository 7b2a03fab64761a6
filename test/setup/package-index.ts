import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

/** A package index on loopback with the simple API (PEP 503), and a mirror from which uv downloads Pythons. */
export interface PackageIndex {
  /** For PIP_INDEX_URL. */
  url: string;
  /** For UV_PYTHON_INSTALL_MIRROR. */
  mirror: string;
  /** For UV_PYTHON_DOWNLOADS_JSON_URL: the built-in list of uv has no Python that a test could make. */
  downloads: string;
  /** Requested paths. */
  asked: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Serves all wheels of these folders and one Python. */
export async function startPackageIndex(
  folders: readonly string[],
  python?: { archive: string; version: string },
): Promise<PackageIndex> {
  const wheels = new Map<string, string>();
  for (const folder of folders) {
    for (const name of readdirSync(folder)) if (name.endsWith('.whl')) wheels.set(name, path.join(folder, name));
  }
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://x');
    asked.push(pathname);
    const [, room, name = ''] = pathname.split('/').map(decodeURIComponent);
    if (room === 'simple') {
      const project = name.replaceAll('-', '_');
      const links = [...wheels.keys()].filter(
        (file) => file.toLowerCase().split('-')[0]!.replaceAll('.', '_') === project,
      );
      response.writeHead(links.length > 0 ? 200 : 404, { 'content-type': 'text/html' });
      response.end(links.map((file) => `<a href="../../files/${encodeURIComponent(file)}">${file}</a>`).join('\n'));
    } else if (room === 'files' && wheels.has(name)) createReadStream(wheels.get(name)!).pipe(response);
    else if (room === 'downloads.json' && python) response.end(JSON.stringify(listOf(python)));
    else if (room === 'mirror' && python && pathname.endsWith('/python.tar.gz'))
      createReadStream(python.archive).pipe(response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    ...{ url: `${origin}/simple`, mirror: `${origin}/mirror`, downloads: `${origin}/downloads.json`, asked },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A list in the format of uv, with the address that the mirror replaces. */
function listOf({ archive, version }: { archive: string; version: string }): object {
  const [major, minor, patch] = version.split('.').map(Number);
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return {
    [`cpython-${version}-linux-${arch}-gnu`]: {
      ...{ name: 'cpython', arch: { family: arch, variant: null }, os: 'linux', libc: 'gnu', major, minor, patch },
      ...{ prerelease: '', variant: null, build: '20260101' },
      url: 'https://github.com/astral-sh/python-build-standalone/releases/download/20260101/python.tar.gz',
      sha256: createHash('sha256').update(readFileSync(archive)).digest('hex'),
    },
  };
}
