import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Config } from '../config/schema.ts';
import { defaultConfig } from '../config/schema.ts';
import { AsrproError } from '../errors.ts';

/** Where the hub is and who asks: the configuration, and the environment variables that the hub's own clients obey. */
export interface HubSettings {
  /** Without a slash at the end. */
  endpoint: string;
  /** Goes to the endpoint's origin and nowhere else; null: anonymous. */
  token: Token | null;
  offline: boolean;
}

export interface Token {
  value: string;
  /** Where it was found, for messages: `HF_TOKEN`. */
  source: string;
}

const TRUE = /^(1|on|yes|true)$/i;

/** Throws `invalid_config` where the endpoint is no address. */
export function hubSettings(download: Config['download'], environment: NodeJS.ProcessEnv): HubSettings {
  const isDefault = download.endpoint === defaultConfig.download.endpoint;
  const endpoint = (isDefault && environment.HF_ENDPOINT) || download.endpoint;
  if (!/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : '')) {
    const name = isDefault ? 'HF_ENDPOINT' : 'download.endpoint';
    throw new AsrproError('invalid_config', `The address of the model hub in ${name} is not one of HTTP.`, {
      param: name,
      hint: 'It looks like `https://huggingface.co`.',
    });
  }
  const isSet = (name: string): boolean => TRUE.test(environment[name] ?? '');
  return {
    endpoint: endpoint.replace(/\/+$/, ''),
    token: isSet('HF_HUB_DISABLE_IMPLICIT_TOKEN') ? null : findToken(environment),
    offline: download.offline || isSet('HF_HUB_OFFLINE') || isSet('TRANSFORMERS_OFFLINE'),
  };
}

/** A value that can be no header is no token. */
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
  return [
    ['HF_TOKEN', () => HF_TOKEN],
    ['HUGGING_FACE_HUB_TOKEN', () => HUGGING_FACE_HUB_TOKEN],
    [file, () => readToken(environment)],
  ];
}

function readToken(environment: NodeJS.ProcessEnv): string | undefined {
  try {
    return readFileSync(tokenFile(environment), 'utf8');
  } catch {
    return undefined;
  }
}

function tokenFile({ HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME }: NodeJS.ProcessEnv): string {
  if (HF_TOKEN_PATH) return HF_TOKEN_PATH;
  const home = HF_HOME || path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'huggingface');
  return path.join(home, 'token');
}
