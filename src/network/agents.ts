import type { AgentOptions } from 'node:https';
import type { Agents } from 'got';
import { trustedContext } from '../certificates.ts';
import { oneBlockAgents } from './one-block-agents.ts';
import { agentsThrough, proxyFor } from './proxy.ts';

/**
 * HTTP agents that use the proxies of the environment and the certificates that the system and the user trust. The agents
 * of the last proxy are kept, because nearly all requests of a client use the same one.
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
