import { Agent } from 'node:http';
import { Agent as TlsAgent, type AgentOptions as TlsOptions } from 'node:https';
import { BlockList, isIP, type Socket } from 'node:net';
import { HttpProxyAgent, HttpsProxyAgent } from 'hpagent';
import { AsrproError } from '../errors.ts';
import { connectionWords } from './connection-words.ts';

/**
 * The proxy that the environment sets for an address, by curl's rules: lower-case names first, ALL_PROXY for both schemes,
 * a value without a scheme is an HTTP proxy. null: no proxy. Throws `proxy_failed` for a value that is not an address.
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): URL | null {
  const scheme = url.protocol.replace(':', '');
  const names = [`${scheme}_proxy`, 'all_proxy'].flatMap((name) => [name, name.toUpperCase()]);
  const name = names.find((one) => environment[one]?.trim());
  if (name === undefined || isExcepted(url, environment.no_proxy ?? environment.NO_PROXY ?? '')) return null;
  const value = environment[name]!.trim();
  // A password with a plain `%` is common; URL keeps it, and every later decoder would fail.
  const encoded = value.replace(/%(?![\da-f]{2})/gi, '%25');
  const given = /^[a-z][a-z0-9+.-]*:\/\//i.test(encoded) ? encoded : `http://${encoded}`;
  const proxy = URL.canParse(given) ? new URL(given) : null;
  if (proxy !== null && proxy.hostname !== '' && /^(https?|socks[45]?[ah]?):$/.test(proxy.protocol)) return proxy;
  throw new AsrproError('proxy_failed', `The value of ${name} is not the address of an HTTP, HTTPS or SOCKS proxy.`, {
    hint: `Set ${name} to \`http://HOST:PORT\` or \`socks5://HOST:PORT\`.`,
  });
}

/**
 * Entries of NO_PROXY: a host with its subdomains (with or without a leading dot, `*.` or a port), an address, or a
 * network (10.0.0.0/8).
 */
function isExcepted({ hostname, port, protocol }: URL, list: string): boolean {
  const host = bare(hostname);
  const ownPort = port || (protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    const [, name = '', wantedPort] = /^(\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (name === '' || (wantedPort !== undefined && wantedPort !== ownPort)) return false;
    if (name.includes('/')) return isInNetwork(host, name);
    const wanted = bare(name.replace(/^\*?\./, ''));
    return host === wanted || (isIP(host) === 0 && host.endsWith(`.${wanted}`));
  });
}

function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

function isInNetwork(host: string, network: string): boolean {
  const [address, bits] = network.split('/');
  const family = isIP(host) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(host) === 0 || isIP(bare(address!)) !== isIP(host)) return false;
  const list = new BlockList();
  try {
    list.addSubnet(bare(address!), Number(bits), family);
  } catch {
    return false;
  }
  return list.check(host, family);
}

/** Agents that connect through a proxy. Errors of the proxy name it. */
export function agentsThrough(proxy: URL, tls: TlsOptions): { http: Agent; https: TlsAgent } {
  if (proxy.protocol.startsWith('socks'))
    return { http: throughSocks(new Agent(), proxy), https: throughSocks(new TlsAgent(tls), proxy) };
  const options = { ...tls, proxy, timeout: CONNECT_MS, proxyRequestOptions: tls as object };
  return {
    http: withProxyErrors(new HttpProxyAgent(options), proxy),
    https: withProxyErrors(new HttpsProxyAgent(options), proxy),
  };
}

/** Time limit for a connection through the proxy, in milliseconds. */
const CONNECT_MS = 10_000;

type Connect = (options: object, done: (error: Error | null, socket?: Socket) => void) => unknown;

/** Turns the agent's connection errors into errors that name the proxy. */
function withProxyErrors<A extends Agent>(agent: A, proxy: URL): A {
  const connect = agent.createConnection.bind(agent) as Connect;
  agent.createConnection = ((options, done) =>
    connect(options, (error, socket) =>
      done(error && proxyError(error, proxy), socket),
    )) as Connect as A['createConnection'];
  return agent;
}

function throughSocks<A extends Agent>(agent: A, proxy: URL): A {
  const connect = agent.createConnection.bind(agent) as (options: object) => Socket;
  agent.createConnection = ((
    options: { host: string; port: number },
    done: (error: Error | null, socket?: Socket) => void,
  ) => {
    openSocks(proxy, options)
      .then((socket) => done(null, agent instanceof TlsAgent ? connect({ ...options, socket }) : socket))
      .catch((error: Error) => done(proxyError(error, proxy)));
  }) as Connect as A['createConnection'];
  return agent;
}

/** The proxy looks up host names, also for `socks5://`: behind many such proxies the machine has no DNS. */
async function openSocks(proxy: URL, { host, port }: { host: string; port: number }): Promise<Socket> {
  const { SocksClient } = await import('socks');
  const { socket } = await SocksClient.createConnection({
    command: 'connect',
    destination: { host, port },
    timeout: CONNECT_MS,
    proxy: {
      host: bare(proxy.hostname),
      port: Number(proxy.port || 1080),
      type: proxy.protocol.startsWith('socks4') ? 4 : 5,
      ...(proxy.username && { userId: decodeURIComponent(proxy.username) }),
      ...(proxy.password && { password: decodeURIComponent(proxy.password) }),
    },
  });
  return socket;
}

/** Describes a failed connection to or through a proxy. hpagent reports a status other than 200 only in its message. */
function proxyError(error: Error, proxy: URL): Error {
  const status = Number(/^Bad response: (\d+)/.exec(error.message)?.[1]);
  const where = `The proxy ${proxy.host}`;
  const hint = 'Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.';
  if (status === 407 || /[Aa]uthentication/.test(error.message)) {
    const known = proxy.username ? 'refuses the user name and password' : 'asks for a user name and password';
    const form = `\`${proxy.protocol}//USER:PASSWORD@${proxy.host}\``;
    return new AsrproError('proxy_failed', `${where} ${known}.`, { hint: `Set the proxy as ${form}.`, cause: error });
  }
  if (status >= 500) {
    const message = `${where} answers with ${status}: it cannot reach the host.`;
    return new AsrproError('hub_unreachable', message, { hint, cause: error });
  }
  if (status) {
    const message = `${where} refuses the connection with status ${status}.`;
    return new AsrproError('proxy_failed', message, { hint, cause: error });
  }
  // The SOCKS client reports the code only in its message.
  const code = (error as NodeJS.ErrnoException).code ?? /\bE[A-Z]{4,}\b/.exec(error.message)?.[0];
  const why = code === undefined ? error.message.toLowerCase() : connectionWords(code);
  return new AsrproError('hub_unreachable', `${where} cannot be used: ${why}.`, { hint, cause: error });
}
