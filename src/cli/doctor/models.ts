import type { Finding, Section } from './section.ts';

/** The default model and all downloaded ones. */
export const models: Section = {
  title: 'Models',
  key: 'models',
  async examine({ library }, { config }) {
    const fallback = await library.default();
    const rows = (await library.list()).filter(({ id, downloaded }) => downloaded || id === fallback?.id);
    const unreadable = library.problems().map(({ folder, reason }): Finding => {
      return { name: folder, state: 'absent', detail: `Cannot look for models there: ${reason}.` };
    });
    const listed = rows.map(({ id, ready, reason, engine, name }): Finding => {
      const label = id === fallback?.id ? `${name}, the default` : name;
      if (ready) return { name: id, state: 'ok', detail: `${label}, ${engine}` };
      return { name: id, state: 'broken', code: 'model_not_ready', detail: `${label}: ${reason}` };
    });
    const findings = [...listed, ...unreadable];
    if (config.models.default === null || fallback !== undefined) return findings;
    const detail = 'It is in `models.default`, but there is no such model; `asrpro models` lists all models.';
    return [{ name: config.models.default, state: 'broken', code: 'model_not_found', detail }, ...findings];
  },
};
