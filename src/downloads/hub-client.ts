import got, { type Got, HTTPError } from 'got';
import { AsrproError } from '../errors.ts';
import { createAgents } from '../network/agents.ts';
import type { HubSettings } from './hub-settings.ts';

/** Time limits for a connection and for the headers of an answer, in milliseconds; as in the hub's own client. */
const CONNECT_MS = 10_000;
const RESPONSE_MS = 30_000;
const HUB = 'https://huggingface.co';

export interface HubClient {
  got: Got;
  endpoint: string;
  /** Source of a token that the hub has refused; null: none was refused. */
  refusedToken: string | null;
  /**
   * Drops the token if the hub refused it, so that an expired token does not block a public model. Returns whether to
   * retry: false if the failure is another one or the request had no token.
   */
  dropToken(failure: unknown): boolean;
}

/**
 * An HTTP client for the hub. It uses the proxies of the environment and the certificates that the system and the user
 * trust, and sends the token only to the endpoint's origin. It never retries; its callers do.
 */
export function createHubClient(hub: HubSettings, environment: NodeJS.ProcessEnv): HubClient {
  const { endpoint } = hub;
  const { origin } = new URL(endpoint);
  let { token } = hub;
  const agentsFor = createAgents(environment);
  const client: HubClient = {
    endpoint,
    refusedToken: null,
    dropToken(failure) {
      if (!(failure instanceof HTTPError) || !isRefusal(failure)) return false;
      // Several requests may have used the token at the same time.
      if (!isOurs(failure.request.options.headers.authorization)) return false;
      client.refusedToken ??= token?.source ?? null;
      token = null;
      return true;
    },
    got: got.extend({
      retry: { limit: 0 },
      timeout: { lookup: CONNECT_MS, connect: CONNECT_MS, secureConnect: CONNECT_MS, response: RESPONSE_MS },
      decompress: false,
      headers: { 'user-agent': 'asrpro', 'accept-encoding': 'identity' },
      hooks: {
        beforeRequest: [
          (options) => {
            const url = options.url as URL;
            options.agent = agentsFor(url);
            // got compares only hosts: on a redirect from https to http of the same host it would send the token in the clear.
            if (isOurs(options.headers.authorization)) delete options.headers.authorization;
            if (token !== null && url.origin === origin) options.headers.authorization = `Bearer ${token.value}`;
          },
        ],
        beforeRedirect: [
          (options, response) => {
            const url = options.url as URL;
            if (url.protocol === 'http:' && response.url.startsWith('https:')) throw downgraded(url);
            // If a mirror redirects to the hub's own address, send that request to the mirror as well.
            if (url.origin === HUB && origin !== HUB) options.url = new URL(`${endpoint}${url.pathname}${url.search}`);
          },
        ],
      },
    }),
  };
  return client;
}

/** Whether this is the token, not the login in an endpoint like `https://me:secret@mirror.example`. */
function isOurs(authorization: string | string[] | undefined): boolean {
  return typeof authorization === 'string' && authorization.startsWith('Bearer ');
}

/** A 401, or a 403 for another reason than terms that the user must accept. */
function isRefusal({ response: { statusCode, headers } }: HTTPError): boolean {
  return statusCode === 401 || (statusCode === 403 && headers['x-error-code'] !== 'GatedRepo');
}

function downgraded({ host }: URL): AsrproError {
  const message = `The model hub redirects from https to http (${host}), which is not encrypted.`;
  return new AsrproError('download_failed', message, { hint: 'Check `download.endpoint` and the proxy.' });
}
