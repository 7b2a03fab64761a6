import os from 'node:os';
import { diskError, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import type { Ended } from './run-program.ts';

export interface Attempt {
  /** `pip` or `uv`. */
  tool: string;
  /** The unfinished environment. */
  building: string;
  place: Place;
  /** "Python 3.12 on linux-x64". */
  platform: string;
}

const failed = (message: string, hint: string, ended: Ended): AsrproError =>
  new AsrproError('engine_install_failed', message, { hint, cause: lastWords(ended) });

/**
 * Says in one sentence why pip or uv failed. Looks first for causes that they mention in passing (a full disk, a
 * certificate, a proxy), because their last line is rarely the reason.
 */
export function installError(ended: Ended, { tool, building, place, platform }: Attempt): AsrproError {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours.
  const output = ended.output.replace(/\x1b\[[0-9;]*m/g, '');
  const says = (pattern: RegExp): boolean => pattern.test(output);
  const index = hostIn(output);
  const settings = 'the index settings of pip (`pip config list`) and uv';

  if (says(/No space left on device|ENOSPC|\[Errno 28\]|os error 28\b/i)) return full('ENOSPC', place, ended);
  if (says(/Disk quota exceeded|\[Errno 122\]|os error 122\b/i)) return full('EDQUOT', place, ended);
  if (says(/DO NOT MATCH THE HASHES|hash mismatch/i)) {
    const package_ = /^\s*([\w.-]+==[\w.]+|[\w.-]+) from /m.exec(output)?.[1];
    const which = package_ ? `'${package_}'` : 'a package';
    return failed(`The index has ${which}, but its content does not match the lock.`, `Check ${settings}.`, ended);
  }
  if (says(/externally-managed-environment/)) {
    return failed('This Python is managed by the system and allows no installations.', 'Install `uv`.', ended);
  }
  if (says(/CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed|invalid peer certificate/i)) {
    const why = /(self[- ]signed|expired|Hostname mismatch|not valid for)/i.exec(output)?.[1];
    return failed(
      `The certificate of the package index${index} is not trusted${why ? ` (${why.toLowerCase()})` : ''}.`,
      "Set SSL_CERT_FILE (and PIP_CERT) to the file with your network's certificates; for uv, UV_SYSTEM_CERTS=1.",
      ended,
    );
  }
  if (says(/TLS CA certificate bundle|Could not find a suitable TLS CA/i)) {
    const hint = 'Check PIP_CERT, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE.';
    return failed('The certificate file in the settings does not exist.', hint, ended);
  }
  if (says(/SOCKS support|PySocks/i)) {
    const hint = 'Set HTTPS_PROXY to an HTTP proxy, or install `uv`, which supports SOCKS.';
    return failed('pip cannot use a SOCKS proxy (ALL_PROXY).', hint, ended);
  }
  if (says(/\b407\b|Proxy Authentication Required/i)) {
    const hint = 'Set HTTPS_PROXY to `http://USER:PASSWORD@HOST:PORT`.';
    return failed('The proxy asks for a user name and password (407).', hint, ended);
  }
  if (says(/ProxyError|proxy|tunnel/i) && says(/Max retries|Retrying|error sending request|tunnel error/i)) {
    const hint = 'Check HTTPS_PROXY, ALL_PROXY and NO_PROXY.';
    return failed(`The package index${index} cannot be reached through the proxy.`, hint, ended);
  }
  if (says(/\b(401|403) (Client Error|Unauthorized|Forbidden)|401 Error|403 Error/i)) {
    return failed(
      `The package index${index} requires a login, or refuses the one it got.`,
      `Check ${settings}.`,
      ended,
    );
  }
  const network =
    /NewConnectionError|NameResolutionError|Failed to establish|Name or service not known|Temporary failure in name|nodename nor servname|getaddrinfo failed|ConnectTimeout|ReadTimeout|timed out|dns error|error sending request|Connection (refused|reset|aborted)|Max retries exceeded|SSLError|RemoteDisconnected|IncompleteRead|Network is unreachable|No route to host|network connectivity is disabled/i;
  // uv downloads Python from another place than packages, so the remedy is another one.
  if (
    says(/cpython-3|python-build-standalone/) &&
    says(new RegExp(`${network.source}|Failed to (?:download|fetch)`, 'i'))
  ) {
    const hint =
      'Check the network and the proxy, set UV_PYTHON_INSTALL_MIRROR to a mirror, or install Python 3.10 or newer.';
    return failed(`Python itself could not be downloaded${index}.`, hint, ended);
  }
  if (says(network)) {
    const hint = `Check the network, the proxy and ${settings}, then try again.`;
    return failed(`The package index${index} could not be reached.`, hint, ended);
  }
  if (says(/Permission denied|\[Errno 13\]|os error 13\b/i)) return local('EACCES', place, ended);
  if (says(/Read-only file system|\[Errno 30\]|os error 30\b/i)) return local('EROFS', place, ended);
  if (says(/Input\/output error|\[Errno 5\]|os error 5\b/i)) return local('EIO', place, ended);
  const lacking =
    /No matching distribution found for (\S+?)(?:[ ;]|$)/m.exec(output)?.[1] ??
    /(?:there (?:is|are) no (?:version|wheels?) (?:of|for)|no version of) (\S+)/.exec(output)?.[1] ??
    /([\w.-]+(?:==[\w.]+)?) has no wheels with a matching/.exec(output)?.[1];
  // pip does not report that it reached no index; it only finds no version of the first package.
  const nothing = says(/\(from versions: none\)/) && !says(/^\s*(Downloading|Using cached|Processing) /m);
  if (lacking !== undefined && nothing && !platform.includes('musl')) {
    const hint = `Check the network, the proxy and ${settings}.`;
    return failed(`The package index has no ${lacking}, or it cannot be reached.`, hint, ended);
  }
  if (lacking !== undefined) {
    return failed(`The package index has no ${lacking} for ${platform}.`, lackingHint(platform, settings), ended);
  }
  const wheel = /([\w.-]+\.whl) is not a supported wheel/.exec(output)?.[1];
  if (wheel !== undefined) return failed(`${wheel} does not fit ${platform}.`, lackingHint(platform, settings), ended);
  const hint = 'The log has its full output; `asrpro setup` tries again.';
  return failed(`${tool} failed: ${ended.cause ?? presentable(reasonIn(output), building)}`, hint, ended);
}

function lackingHint(platform: string, settings: string): string {
  if (platform.includes('musl')) return 'The engines need a Linux with glibc, for example Debian; Alpine uses musl.';
  return `Use a 64-bit CPython 3.10 to 3.14 (\`worker.python\`), or check ${settings}.`;
}

function full(code: string, place: Place, ended: Ended): AsrproError {
  const error = diskError(Object.assign(new Error('the installer had no space'), { code }), place);
  const hint = `${error.hint} The cache of the installer may be on another disk (PIP_CACHE_DIR, UV_CACHE_DIR).`;
  return new AsrproError(error.code, error.message, { hint, cause: lastWords(ended) });
}

function local(code: string, place: Place, ended: Ended): AsrproError {
  const { message, hint } = diskError(Object.assign(new Error('the installer could not write'), { code }), place);
  return new AsrproError('folder_unusable', message, { ...(hint === null ? {} : { hint }), cause: lastWords(ended) });
}

/** The end of the program's output, for the log. */
export function lastWords({ output, cause }: Ended): Error {
  return new Error(withoutLogin(`${output.slice(-4000)}${cause === null ? '' : `\n${cause}`}`));
}

function withoutLogin(text: string): string {
  return text.replace(/:\/\/[^/@\s]*@/g, '://');
}

/** The host of the address that failed, as ` (index.example)`. */
function hostIn(output: string): string {
  const host =
    /ConnectionPool\(host='([^']+)'/.exec(output)?.[1] ??
    /(?:fetch|url|URL)[^\n]*?https?:\/\/(?:[^@/\s]*@)?([^/:\s`)]+)/.exec(output)?.[1];
  return host === undefined ? '' : ` (${host})`;
}

/**
 * The line with the reason: pip's last `ERROR:`, uv's `error:` with its innermost cause, else the exception of a
 * traceback.
 */
export function reasonIn(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const last = (pattern: RegExp): string | undefined => lines.findLast((line) => pattern.test(line));
  const pip = last(/^ERROR: (?!Could not build wheels|Failed to build)/) ?? last(/^ERROR:/);
  if (pip !== undefined) return pip.replace(/^ERROR: /, '').slice(0, 300);
  const uv = last(/^(error:|× )/);
  if (uv !== undefined) {
    const cause = last(/^(Caused by:|[╰├]─▶)/);
    const text = [uv, cause].map((line) => line?.replace(/^(error:|×|Caused by:|[╰├]─▶)\s*/, '')).filter(Boolean);
    return text.join(': ').slice(0, 300);
  }
  return (last(/^[\w.]*(Error|Exception|Interrupt)\b.*/) ?? lines.at(-1) ?? 'it wrote nothing').slice(0, 300);
}

/** Removes passwords, and shortens paths of this machine to their last names. */
export function presentable(text: string, building: string): string {
  const roots = [building, os.tmpdir(), process.env.HOME].filter((root) => root && root.length > 1) as string[];
  let result = withoutLogin(text);
  for (const root of roots) {
    const pattern = new RegExp(`${root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}[^\\s'"\`,:]*`, 'g');
    result = result.replace(pattern, (found) => found.split(/[\\/]/).filter(Boolean).at(-1) ?? '');
  }
  return result;
}
