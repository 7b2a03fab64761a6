import type { Config } from '../config/schema.ts';
import { type CatalogueModel, catalogueModels } from '../models/catalogue.ts';

/** Where a model can be fetched from, and what is known of its files before anybody is asked. */
export type DownloadSource = Pick<CatalogueModel, 'id' | 'repo' | 'revision' | 'files' | 'mirrors' | 'alternate_repos'>;

/** undefined for a model that has no repository: one that was found in a folder, or that nobody knows. */
export function sourceOf(id: string, custom: Config['models']['custom']): DownloadSource | undefined {
  const entry = catalogueModels().find((model) => model.id === id);
  if (entry !== undefined) return entry;
  const own = custom.find((model) => model.id === id);
  if (own?.repo === undefined) return undefined;
  return { id, repo: own.repo, revision: own.revision ?? null, files: [], mirrors: [], alternate_repos: [] };
}
