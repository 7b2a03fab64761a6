import path from 'node:path';
import { expandHome, findHome } from './home.ts';

/**
 * A path of the Hugging Face client: `given` where its own variable sets one, else `name` in the client's home folder
 * (HF_HOME, else `huggingface` in the cache folder). null where that needs a home directory and the user has none.
 */
export function hubPath(given: string | undefined, name: string, environment: NodeJS.ProcessEnv): string | null {
  const { HF_HOME, XDG_CACHE_HOME } = environment;
  const home = findHome(environment);
  const expanded = (folder: string): string => (home === null ? folder : expandHome(folder, environment));
  if (given) return expanded(given);
  if (HF_HOME) return path.join(expanded(HF_HOME), name);
  if (XDG_CACHE_HOME) return path.join(expanded(XDG_CACHE_HOME), 'huggingface', name);
  return home === null ? null : path.join(home, '.cache', 'huggingface', name);
}
