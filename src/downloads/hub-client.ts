import got, { type Got, type OptionsInit } from 'got';
import { HttpProxyAgent, HttpsProxyAgent } from 'hpagent';
import { getProxyForUrl } from 'proxy-from-env';
import type { HubSettings } from './hub-settings.ts';
import { oneBlockAgents } from './one-block-agents.ts';

/** Of a connection and of the headers of an answer, in milliseconds; as in the hub's own client. */
const CONNECT_MS = 10_000;
const RESPONSE_MS = 30_000;
const HUB = 'https://huggingface.co';

/**
 * Requests to the hub: through the proxies of the environment, with the token for the endpoint's host alone (got drops it
 * when a redirect leaves the host). Tries once; whoever asks decides about another try.
 */
export function createHubClient({ endpoint, token }: HubSettings): Got {
  const direct = oneBlockAgents();
  const agentFor = (url: URL): OptionsInit['agent'] => {
    const proxy = getProxyForUrl(url.href);
    if (proxy === '') return direct;
    return url.protocol === 'https:'
      ? { https: new HttpsProxyAgent({ proxy }) }
      : { http: new HttpProxyAgent({ proxy }) };
  };
  return got.extend({
    retry: { limit: 0 },
    timeout: { lookup: CONNECT_MS, connect: CONNECT_MS, secureConnect: CONNECT_MS, response: RESPONSE_MS },
    decompress: false,
    headers: {
      'user-agent': 'asrpro',
      'accept-encoding': 'identity',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    hooks: {
      beforeRequest: [
        (options) => {
          options.agent = agentFor(options.url as URL) ?? {};
        },
      ],
      beforeRedirect: [
        (options) => {
          const url = options.url as URL;
          // A mirror that passes on the hub's own addresses is asked for them itself.
          if (url.origin === HUB && endpoint !== HUB) options.url = new URL(`${endpoint}${url.pathname}${url.search}`);
          options.agent = agentFor(options.url as URL) ?? {};
        },
      ],
    },
  });
}
