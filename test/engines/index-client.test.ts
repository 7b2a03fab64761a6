import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { fetchWheel } from '../../src/engines/index-client.ts';
import { zipMember } from '../../src/engines/zip.ts';
import { temporaryHome } from '../setup/home.ts';

const content = Buffer.from('a wheel');
const wheel = {
  project: 'uv',
  file: 'uv-1-py3-none-any.whl',
  sha256: createHash('sha256').update(content).digest('hex'),
};

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An environment without the settings of this machine. */
function fetch(environment: NodeJS.ProcessEnv, stallMs?: number): Promise<Buffer> {
  const home = temporaryHome();
  const alone = { HOME: home, XDG_CONFIG_HOME: path.join(home, '.config'), XDG_CONFIG_DIRS: home };
  return fetchWheel(wheel, { ...alone, ...environment }, new AbortController().signal, stallMs);
}

const html = `<a class="x" href="../../f/uv-0.whl">old</a><a data-x="1" href="../../f/${wheel.file}#sha256=0">uv</a>`;
const json = JSON.stringify({ files: [{ url: '/f/uv-0.whl' }, { url: `/f/${wheel.file}` }] });

test.each([
  ['a page of links', 'text/html', html],
  ['JSON', 'application/vnd.pypi.simple.v1+json', json],
])('an index that answers with %s is understood, also below a path and with a login', async (_what, type, page) => {
  const logins = new Set<string | undefined>();
  const url = await serve(({ url, headers }, response) => {
    logins.add(headers.authorization);
    if (url === '/root/simple/uv/')
      response.writeHead(200, { 'content-type': type }).end(page.replaceAll('"/f', '"/root/f'));
    else if (url === `/root/f/${wheel.file}`) response.end(content);
    else response.writeHead(404).end();
  });
  const index = `${url.replace('//', '//me:secret@')}/root/simple/`;
  const page_ = type.includes('json') ? { PIP_INDEX_URL: index } : { UV_INDEX_URL: index };
  expect((await fetch(page_)).equals(content)).toBe(true);
  expect([...logins]).toEqual([`Basic ${Buffer.from('me:secret').toString('base64')}`]);
});

test('indexes and folders of wheels are also read from the files of pip and uv', async () => {
  const url = await serve(({ url }, response) =>
    url === '/simple/uv/'
      ? response.end(html)
      : url?.startsWith('/f/')
        ? response.end(content)
        : response.writeHead(404).end(),
  );
  const home = temporaryHome();
  const file = (name: string, ...lines: string[]): string => {
    writeFileSync(path.join(home, name), lines.join('\n'));
    return path.join(home, name);
  };
  const none = await serve((_request, response) => response.writeHead(404).end());
  const pip = file(
    'pip.conf',
    '[global]',
    `index-url = ${none}/simple`,
    'extra-index-url =',
    `    ${none}`,
    `    ${url}/simple`,
  );
  expect((await fetch({ PIP_CONFIG_FILE: pip })).equals(content)).toBe(true);
  const uv = file('uv.toml', '[[index]]', `url = "${url}/simple"`, 'default = true');
  expect((await fetch({ UV_CONFIG_FILE: uv })).equals(content)).toBe(true);
  mkdirSync(path.join(home, 'links'));
  file(`links/${wheel.file}`, content.toString());
  const offline = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: path.join(home, 'links') };
  expect((await fetch(offline)).equals(content)).toBe(true);
});

test.each([
  ['another content', 200, 'another', /has uv-1-py3-none-any\.whl, but its content does not match the lock/],
  ['a refusal', 401, '', /requires a login, or refuses the one it got \(401\)/],
  ['no such package', 404, '', /answers with 404/],
])('the error names the cause: %s', async (_what, status, body, words) => {
  const url = await serve((request, response) => {
    const isPage = request.url === '/simple/uv/';
    response.writeHead(status, { 'content-type': 'text/html' }).end(isPage && status === 200 ? html : body);
  });
  await expect(fetch({ PIP_INDEX_URL: `${url}/simple` })).rejects.toThrow(words);
});

test('settings without an index give an error with the remedy', async () => {
  await expect(fetch({ PIP_CONFIG_FILE: '/dev/null' })).rejects.toMatchObject({
    message: expect.stringContaining('contain no package index'),
    hint: expect.stringContaining('UV_DEFAULT_INDEX'),
  });
});

test('a member of an archive is read, and a file that is no archive is refused', async () => {
  const packed = deflateRawSync(content);
  const name = Buffer.from('uv.data/scripts/uv');
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(8, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt32LE(content.length, 24);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(local.length + name.length + packed.length, 16);
  const archive = Buffer.concat([local, name, packed, entry, name, end, Buffer.from('a comment')]);
  expect((await zipMember(archive, (one) => one.endsWith('/uv')))?.equals(content)).toBe(true);
  expect(await zipMember(archive, () => false)).toBeNull();
  await expect(zipMember(Buffer.alloc(100), () => true)).rejects.toThrow('not a ZIP archive');
});

test.each(['the list', 'the wheel'])('an index that stops in the middle of %s is given up', async (part) => {
  const url = await serve(({ url }, response) => {
    if (part === 'the wheel' && url === '/simple/uv/') return response.end(html);
    response.writeHead(200, { 'content-length': 100 }).write('half');
  });
  await expect(fetch({ PIP_INDEX_URL: `${url}/simple` }, 300)).rejects.toMatchObject({
    code: 'engine_install_failed',
    message: expect.stringContaining('does not answer in time (ETIMEDOUT)'),
  });
});
