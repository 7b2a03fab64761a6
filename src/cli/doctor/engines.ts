import { requiredEnvironment } from '../../engine-table.ts';
import { megabytes, type Section } from './section.ts';

/** The environment that a first transcription needs counts as broken when it is missing; the others are optional. */
export const engines: Section = {
  title: 'Engines',
  key: 'engines',
  async examine(services, { config }) {
    const needed = requiredEnvironment(config.cluster.address !== null);
    const rows = await services.engines.list();
    return rows.map(({ id, installed, broken, packages, sizeBytes, reason, incomplete }) => {
      if (installed) {
        const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
        const rest = incomplete === null ? megabytes(sizeBytes) : `${incomplete} It takes ${megabytes(sizeBytes)}.`;
        return { name: id, state: 'ok', detail: [...versions, rest].join(', ') };
      }
      const detail = `${reason ?? 'It is not installed.'} It takes ${megabytes(sizeBytes)}.`;
      return id === needed || broken
        ? { name: id, state: 'broken', code: broken ? 'engine_broken' : 'engine_not_installed', detail }
        : { name: id, state: 'absent', detail };
    });
  },
};
