import type { Devices } from '../devices/types.ts';
import { type EnvironmentId, environmentIds } from '../engine-table.ts';
import type { EngineStatus, Engines, InstallStatus } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';

/** Engine environments that always count as installed, because the mock needs no Python. */
export function createMockEngines(): Engines {
  const status = (id: EnvironmentId): EngineStatus => ({
    id,
    installed: true,
    broken: false,
    python: null,
    packages: {},
    sizeBytes: 0,
    reason: null,
    incomplete: null,
  });
  const installed = (engine: EnvironmentId): InstallStatus => ({
    engine,
    status: 'installed',
    step: null,
    packagesDone: 0,
    packagesTotal: 0,
    error: null,
  });
  return {
    list: async () => environmentIds.map(status),
    status: async (id) => status(id),
    install: async (id) => installed(id),
    installation: async (id) => installed(id),
    cancel: async (id) => installed(id),
    async *watch(id) {
      yield installed(id);
    },
    interpreter: async () => {
      throw new AsrproError('engine_not_installed', 'The mock has no Python.');
    },
    download: async () => {
      throw new AsrproError('python_not_found', 'The mock has no Python.');
    },
    pip: async () => {
      throw new AsrproError('python_not_found', 'The mock has no Python.');
    },
    close: async () => undefined,
  };
}

export function createMockDevices(): Devices {
  return {
    report: async () => ({
      devices: [
        {
          id: 'cpu',
          kind: 'cpu',
          name: 'Mock CPU',
          memoryBytes: null,
          usable: true,
          reason: null,
          engines: { mock: { usable: true, computeTypes: ['int8'], reason: null } },
        },
      ],
      selected: { mock: 'cpu' },
    }),
    select: async () => ({ device: 'cpu', computeType: 'int8' }),
    lastChosen: () => 'cpu',
  };
}
