import { readText } from '../config/foreign-file.ts';
import { hubPath } from '../config/hub-home.ts';
import type { Config } from '../config/schema.ts';
import { defaultConfig } from '../config/schema.ts';
import { AsrproError } from '../errors.ts';

/** Address of the hub and login: from the configuration, and from the environment variables of the hub's own clients. */
export interface HubSettings {
  /** Without a trailing slash. */
  endpoint: string;
  /** Sent only to the endpoint's origin; null: anonymous. */
  token: Token | null;
  offline: boolean;
}

export interface Token {
  value: string;
  /** Where it was found, for messages: `HF_TOKEN`. */
  source: string;
}

const TRUE = /^(1|on|yes|true)$/i;

/** Throws `invalid_config` where the endpoint is not an HTTP address. */
export function hubSettings(download: Config['download'], environment: NodeJS.ProcessEnv): HubSettings {
  const isDefault = download.endpoint === defaultConfig.download.endpoint;
  const endpoint = ((isDefault && environment.HF_ENDPOINT?.trim()) || download.endpoint).trim();
  if (!/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : '')) {
    const name = isDefault ? 'HF_ENDPOINT' : 'download.endpoint';
    throw new AsrproError('invalid_config', `The address of the model hub in ${name} is not an HTTP address.`, {
      param: name,
      hint: 'It looks like `https://huggingface.co`.',
    });
  }
  const isSet = (name: string): boolean => TRUE.test((environment[name] ?? '').trim());
  return {
    endpoint: endpoint.replace(/\/+$/, ''),
    token: isSet('HF_HUB_DISABLE_IMPLICIT_TOKEN') ? null : findToken(environment),
    offline: download.offline || isSet('HF_HUB_OFFLINE') || isSet('TRANSFORMERS_OFFLINE'),
  };
}

/** Ignores a value that cannot be part of an HTTP header. */
function findToken(environment: NodeJS.ProcessEnv): Token | null {
  for (const [source, read] of sources(environment)) {
    const value = read()?.trim();
    if (value) return /^[\x21-\x7e]+$/.test(value) ? { value, source } : null;
  }
  return null;
}

function sources(environment: NodeJS.ProcessEnv): [string, () => string | undefined][] {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH } = environment;
  const file = HF_TOKEN_PATH ? 'the file of HF_TOKEN_PATH' : "the token file of the hub's own tools (`hf auth login`)";
  const path = hubPath(HF_TOKEN_PATH, 'token', environment);
  return [
    ['HF_TOKEN', () => HF_TOKEN],
    ['HUGGING_FACE_HUB_TOKEN', () => HUGGING_FACE_HUB_TOKEN],
    [file, () => (path === null ? undefined : (readText(path) ?? undefined))],
  ];
}
