import type { Config } from '../config/schema.ts';
import { type CatalogueModel, catalogueModels } from '../models/catalogue.ts';

/** Where a model can be downloaded from, and what is known about its files before the hub is asked. */
export type DownloadSource = Pick<CatalogueModel, 'id' | 'repo' | 'revision' | 'files' | 'mirrors' | 'alternate_repos'>;

/** undefined for a model without a repository: one found in a folder, or an unknown one. */
export function sourceOf(id: string, custom: Config['models']['custom']): DownloadSource | undefined {
  const entry = catalogueModels().find((model) => model.id === id);
  if (entry !== undefined) return entry;
  const { repo, revision = null } = custom.find((model) => model.id === id) ?? {};
  return repo === undefined ? undefined : { id, repo, revision, files: [], mirrors: [], alternate_repos: [] };
}
