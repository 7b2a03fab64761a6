import type { Finding, Section } from './section.ts';

/** The default model, then those that are on the disk. */
export const models: Section = {
  title: 'Models',
  key: 'models',
  async examine({ library }, { config }) {
    const fallback = await library.default();
    const rows = (await library.list()).filter(({ id, downloaded }) => downloaded || id === fallback?.id);
    const unread = library.problems().map(({ folder, reason }): Finding => {
      return { name: folder, state: 'absent', detail: `Models cannot be looked for there: ${reason}.` };
    });
    const listed = rows.map(({ id, ready, reason, engine, name }): Finding => {
      const label = id === fallback?.id ? `${name}, the default` : name;
      if (ready) return { name: id, state: 'ok', detail: `${label}, ${engine}` };
      return { name: id, state: 'broken', code: 'model_not_ready', detail: `${label}: ${reason}` };
    });
    const findings = [...listed, ...unread];
    if (config.models.default === null || fallback !== undefined) return findings;
    const detail = 'It is in `models.default`, but there is no such model; `asrpro models` lists them.';
    return [{ name: config.models.default, state: 'broken', code: 'model_not_found', detail }, ...findings];
  },
};
