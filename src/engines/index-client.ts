import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import got, { type Got, HTTPError, RequestError } from 'got';
import { AsrproError } from '../errors.ts';
import { createAgents } from '../network/agents.ts';
import { certificateWords, connectionWords } from '../network/connection-words.ts';
import { indexSettings } from './index-settings.ts';

export interface WheelSpec {
  /** Normalised name of the project, which is its folder in an index. */
  project: string;
  file: string;
  sha256: string;
}

/** Time limits for a connection and for the headers of an answer, in milliseconds. */
const CONNECT_MS = 10_000;
const RESPONSE_MS = 30_000;
const RETRY_PAUSE_MS = 500;
/** A transfer without a byte for this long, in milliseconds, has failed. */
const STALL_MS = 30_000;

/**
 * Fetches one wheel into memory from the user's folders and package indexes, for a machine that has no Python yet and so
 * neither pip nor uv. Accepts only content with the locked hash. Throws `engine_install_failed` with the reason of the
 * first index, and `engine_install_cancelled`.
 */
export async function fetchWheel(
  spec: WheelSpec,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
  stallMs = STALL_MS,
): Promise<Buffer> {
  const settings = await indexSettings(environment);
  const isLocked = (content: Buffer): boolean => createHash('sha256').update(content).digest('hex') === spec.sha256;
  const reasons: AsrproError[] = [];
  const failed = (message: string): AsrproError =>
    new AsrproError('engine_install_failed', message, { hint: 'Check the index settings of pip and uv.' });

  for (const link of settings.findLinks.filter(isFolder)) {
    const content = readIfPresent(path.join(folderOf(link), spec.file));
    if (content !== null && isLocked(content)) return content;
  }
  const pages = [
    ...settings.indexes.map((index) => `${index}/${spec.project}/`),
    ...settings.findLinks.filter((link) => !isFolder(link)),
  ];
  if (pages.length === 0) {
    throw new AsrproError('engine_install_failed', 'the settings of pip and uv contain no package index', {
      hint: 'Install uv or a Python, or set UV_DEFAULT_INDEX to the address of an index.',
    });
  }
  for (const page of pages) {
    const client = createClient(settings.environment, settings.insecureHosts, signal, stallMs);
    const { host } = new URL(page);
    try {
      const file = page.startsWith('file:')
        ? localFile(page, spec)
        : await twice(() => linkTo(client, page, spec), signal);
      if (file === null) reasons.push(failed(`the package index (${host || 'a folder'}) has no ${spec.file}`));
      else {
        const content = file.startsWith('file:')
          ? readFileSync(fileURLToPath(file))
          : await twice(() => client(file).buffer(), signal);
        if (isLocked(content)) return content;
        reasons.push(failed(`the package index (${host}) has ${spec.file}, but its content does not match the lock`));
      }
    } catch (thrown) {
      if (signal.aborted) throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
      reasons.push(requestError(thrown, host));
    }
  }
  throw reasons[0]!;
}

/** Retries once after a broken connection or a server error, which is usually enough. */
async function twice<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await request();
  } catch (thrown) {
    if (thrown instanceof HTTPError ? thrown.response.statusCode < 500 : !(thrown instanceof RequestError))
      throw thrown;
    await setTimeout(RETRY_PAUSE_MS, undefined, { signal });
    return await request();
  }
}

function createClient(
  environment: NodeJS.ProcessEnv,
  insecureHosts: readonly string[],
  signal: AbortSignal,
  stallMs: number,
): Got {
  const unchecked = createAgents(environment, { rejectUnauthorized: false });
  const checked = createAgents(environment);
  const isInsecure = ({ host, hostname, origin }: URL): boolean =>
    insecureHosts.some((one) => [host, hostname, origin].includes(one));
  return got.extend({
    signal,
    retry: { limit: 0 },
    timeout: {
      ...{ lookup: CONNECT_MS, connect: CONNECT_MS, secureConnect: CONNECT_MS },
      ...{ response: RESPONSE_MS, socket: stallMs },
    },
    headers: { 'user-agent': 'asrpro' },
    hooks: {
      beforeRequest: [
        (options) => {
          const url = options.url as URL;
          options.agent = isInsecure(url) ? unchecked(url) : checked(url);
        },
      ],
    },
  });
}

/**
 * Looks the file up in an index, which answers with JSON (PEP 691) or, as most private indexes do, with a page of links
 * (PEP 503).
 */
async function linkTo(client: Got, page: string, { file }: WheelSpec): Promise<string | null> {
  const accept = 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1';
  const { body, headers, url } = await client(page, { headers: { accept } });
  const links = /json/.test(headers['content-type'] ?? '')
    ? (JSON.parse(body) as { files: { url: string }[] }).files.map((one) => one.url)
    : [...body.matchAll(/<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)].map(([, one, other]) =>
        (one ?? other ?? '').replaceAll('&amp;', '&'),
      );
  const target = links.map((link) => new URL(link, url)).find((link) => nameIn(link) === file);
  if (target === undefined) return null;
  target.hash = '';
  const asked = new URL(page);
  // The links of an index do not contain the login from the user's address.
  if (target.host === asked.host) [target.username, target.password] = [asked.username, asked.password];
  return target.href;
}

function nameIn({ pathname }: URL): string {
  return decodeURIComponent(pathname.split('/').at(-1)!);
}

/** Looks the file up in an index that is a folder, with a page of links or with the files themselves. */
function localFile(page: string, { file }: WheelSpec): string | null {
  const folder = new URL(page.endsWith('/') ? page : `${page}/`);
  const text = readIfPresent(fileURLToPath(new URL('index.html', folder)))?.toString() ?? '';
  const links = [...text.matchAll(/href\s*=\s*["']([^"'#]*)/gi)].map(([, link]) => new URL(link!, folder));
  const found = [...links, new URL(encodeURIComponent(file), folder)].find((link) => nameIn(link) === file);
  return found !== undefined && readIfPresent(fileURLToPath(found)) !== null ? found.href : null;
}

function isFolder(link: string): boolean {
  return !/^https?:/.test(link);
}

function folderOf(link: string): string {
  return link.startsWith('file:') ? fileURLToPath(link) : link;
}

function readIfPresent(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch {
    return null;
  }
}

/** The message has no full stop: the caller makes it the end of a longer sentence. */
function requestError(thrown: unknown, host: string): AsrproError {
  const error = (message: string, hint: string): AsrproError =>
    new AsrproError('engine_install_failed', message, { hint, cause: thrown });
  const own = thrown instanceof AsrproError ? thrown : (thrown as Error | undefined)?.cause;
  if (own instanceof AsrproError) return error(own.message.replace(/\.$/, ''), own.hint ?? 'Check the proxy.');
  const index = `the package index (${host})`;
  const settings = 'the index settings of pip and uv';
  if (thrown instanceof HTTPError) {
    const { statusCode } = thrown.response;
    if (statusCode === 401 || statusCode === 403) {
      return error(`${index} requires a login, or refuses the one it got (${statusCode})`, `Check ${settings}.`);
    }
    if (statusCode === 407) {
      return error('the proxy asks for a user name and password (407)', 'Set them in HTTPS_PROXY.');
    }
    return error(`${index} answers with ${statusCode}`, `Check ${settings}.`);
  }
  const { code } = thrown as NodeJS.ErrnoException;
  const certificate = certificateWords(code);
  if (certificate !== null) {
    const hint = "Set SSL_CERT_FILE to the file with your network's certificates.";
    return error(`the certificate of ${index} ${certificate}`, hint);
  }
  if (code?.startsWith('E')) {
    return error(
      `${index} cannot be reached: ${connectionWords(code)}`,
      `Check the network, the proxy and ${settings}.`,
    );
  }
  return error(`${index} did not send a list of packages`, `Check ${settings}.`);
}
