import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Config } from '../config/schema.ts';
import { defaultConfig } from '../config/schema.ts';

/** Where the hub is and who asks: the configuration, and the environment variables that the hub's own clients obey. */
export interface HubSettings {
  /** Without a slash at the end. */
  endpoint: string;
  /** Goes to the endpoint's host and nowhere else; null: anonymous. */
  token: string | null;
  offline: boolean;
}

const TRUE = /^(1|on|yes|true)$/i;

export function hubSettings(download: Config['download'], environment: NodeJS.ProcessEnv): HubSettings {
  const isDefault = download.endpoint === defaultConfig.download.endpoint;
  const endpoint = (isDefault && environment.HF_ENDPOINT) || download.endpoint;
  const isSet = (name: string): boolean => TRUE.test(environment[name] ?? '');
  return {
    endpoint: endpoint.replace(/\/+$/, ''),
    token: isSet('HF_HUB_DISABLE_IMPLICIT_TOKEN') ? null : findToken(environment),
    offline: download.offline || isSet('HF_HUB_OFFLINE') || isSet('TRANSFORMERS_OFFLINE'),
  };
}

function findToken(environment: NodeJS.ProcessEnv): string | null {
  const given = environment.HF_TOKEN?.trim();
  if (given) return given;
  try {
    return readFileSync(tokenFile(environment), 'utf8').trim() || null;
  } catch {
    return null;
  }
}

function tokenFile({ HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME }: NodeJS.ProcessEnv): string {
  if (HF_TOKEN_PATH) return HF_TOKEN_PATH;
  const home = HF_HOME || path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'huggingface');
  return path.join(home, 'token');
}
