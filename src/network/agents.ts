import type { AgentOptions } from 'node:https';
import type { Agents } from 'got';
import { trustedContext } from '../certificates.ts';
import { oneBlockAgents } from './one-block-agents.ts';
import { agentsThrough, proxyFor } from './proxy.ts';

/**
 * Connections of a client of ours: through the proxies of the environment, with the certificates that system and user trust.
 * Those of the last way are kept, as nearly all requests of a client go the same one.
 */
export function createAgents(environment: NodeJS.ProcessEnv, more: AgentOptions = {}): (url: URL) => Agents {
  let last: { through: string; agents: Agents } | undefined;
  let context: ReturnType<typeof trustedContext> | undefined;
  return (url) => {
    const proxy = proxyFor(url, environment);
    if (url.protocol === 'https:' || proxy?.protocol === 'https:') context ??= trustedContext(environment);
    const tls = context ? { ...more, secureContext: context } : more;
    const through = `${proxy?.href ?? 'direct'} ${url.protocol}`;
    if (last?.through !== through) {
      last = { through, agents: proxy === null ? oneBlockAgents(tls) : agentsThrough(proxy, tls) };
    }
    return last.agents;
  };
}
