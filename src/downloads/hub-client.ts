import got, { type Got, HTTPError } from 'got';
import { AsrproError } from '../errors.ts';
import { createAgents } from '../network/agents.ts';
import type { HubSettings } from './hub-settings.ts';

/** Of a connection and of the headers of an answer, in milliseconds; as in the hub's own client. */
const CONNECT_MS = 10_000;
const RESPONSE_MS = 30_000;
const HUB = 'https://huggingface.co';

export interface HubClient {
  got: Got;
  endpoint: string;
  /** Where the token comes from that the hub has refused; null: none was. */
  refusedToken: string | null;
  /**
   * Goes on without the token where this failure says that the hub does not want it: one of yesterday must not keep anybody
   * from a public model. False where there is nothing to try: the request had no token.
   */
  dropToken(failure: unknown): boolean;
}

/**
 * Requests to the hub: through the proxies of the environment, with the certificates that system and user trust, and with the
 * token for the endpoint's origin alone. Tries once; whoever asks decides about another try.
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
      // Several requests may have been under way with it.
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
            // got compares hosts, so that a redirect from https to http of the same host would carry it in the clear.
            if (isOurs(options.headers.authorization)) delete options.headers.authorization;
            if (token !== null && url.origin === origin) options.headers.authorization = `Bearer ${token.value}`;
          },
        ],
        beforeRedirect: [
          (options, response) => {
            const url = options.url as URL;
            if (url.protocol === 'http:' && response.url.startsWith('https:')) throw downgraded(url);
            // A mirror that passes on the hub's own addresses is asked for them itself.
            if (url.origin === HUB && origin !== HUB) options.url = new URL(`${endpoint}${url.pathname}${url.search}`);
          },
        ],
      },
    }),
  };
  return client;
}

/** Not the login of an endpoint like `https://me:secret@mirror.example`. */
function isOurs(authorization: string | string[] | undefined): boolean {
  return typeof authorization === 'string' && authorization.startsWith('Bearer ');
}

/** 401, or a 403 that does not ask for terms to be accepted. */
function isRefusal({ response: { statusCode, headers } }: HTTPError): boolean {
  return statusCode === 401 || (statusCode === 403 && headers['x-error-code'] !== 'GatedRepo');
}

function downgraded({ host }: URL): AsrproError {
  const message = `The model hub leads from https to http (${host}), where nothing protects what is sent.`;
  return new AsrproError('download_failed', message, { hint: 'Check `download.endpoint` and the proxy.' });
}
