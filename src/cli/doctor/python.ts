import { firstEnvironment } from '../../engine-table.ts';
import { asAsrproError } from '../../errors.ts';
import type { Section } from './section.ts';

/** The Python that engine environments are made with. Not needed once they are there. */
export const python: Section = {
  title: 'Python',
  key: 'python',
  async examine(services, { config, environment }) {
    const { findPython } = await import('../../engines/find-python.ts');
    try {
      const { command, version } = await findPython(config.worker.python, environment);
      return [{ name: version.join('.'), state: 'ok', detail: command }];
    } catch (thrown) {
      const { code, message, hint } = asAsrproError(thrown);
      const { installed } = await services.engines.status(firstEnvironment);
      const detail = hint === null ? message : `${message} ${hint}`;
      return [{ name: 'none', ...(installed ? { state: 'absent' } : { state: 'broken', code }), detail }];
    }
  },
};
