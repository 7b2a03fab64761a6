import { requiredEnvironment } from '../../engine-table.ts';
import { asAsrproError } from '../../errors.ts';
import type { Finding, Section } from './section.ts';

/** The Python of the installed engine, else the one that an installation would use. */
export const python: Section = {
  title: 'Python',
  key: 'python',
  async examine(services, { config, environment, paths }) {
    const needed = requiredEnvironment(config.cluster.address !== null);
    const { python: installed } = await services.engines.status(needed);
    const { folderOfInterpreter, pythonBehind } = await import('../../engines/environment.ts');
    const used = installed === null ? null : pythonBehind(folderOfInterpreter(installed));
    if (used !== null)
      return [{ name: used.version, state: 'ok', detail: `${used.home}, used by the engine ${needed}` }];
    const { findPython } = await import('../../engines/find-python.ts');
    try {
      const { command, version } = await findPython(config.worker.python, environment);
      return [{ name: version.join('.'), state: 'ok', detail: command }];
    } catch (thrown) {
      const { code, message, hint } = asAsrproError(thrown);
      const broken: Finding = { name: 'none', state: 'broken', code, detail: `${message} ${hint ?? ''}`.trim() };
      if (config.worker.python !== null) return [broken];
      const { findUv } = await import('../../engines/bring-uv.ts');
      const uv = await findUv(paths.engines, environment);
      const remedy = uv === null ? '`asrpro setup` gets uv, which' : '`asrpro setup` uses uv, which';
      return [{ name: 'none', state: 'absent', detail: `${message} ${remedy} downloads a Python.` }];
    }
  },
};
