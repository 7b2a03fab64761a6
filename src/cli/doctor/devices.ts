import type { Device } from '../../devices/types.ts';
import { megabytes, type Section } from './section.ts';

/** One line for each device, tested by a real inference with each engine. */
export const devices: Section = {
  title: 'Devices',
  key: 'devices',
  async examine(services) {
    const { devices: found, selected } = await services.devices.report({ refresh: true });
    return found.map((device) => {
      const chosenBy = Object.keys(selected).filter(
        (engine) => selected[engine] === device.id && device.engines[engine]?.usable,
      );
      const memory = device.memoryBytes === null ? [] : [megabytes(device.memoryBytes)];
      const detail = [[device.name, ...memory].join(', '), device.reason ?? outcomes(device, chosenBy)].join(': ');
      return { name: device.id, state: device.usable ? 'ok' : 'absent', detail };
    });
  },
};

function outcomes({ engines }: Device, chosenBy: readonly string[]): string {
  return Object.entries(engines)
    .map(([engine, { usable, computeTypes, reason }]) => {
      if (!usable) return `${engine} no (${reason})`;
      return `${engine} ${chosenBy.includes(engine) ? 'uses it' : 'can use it'} (${computeTypes.join(', ')})`;
    })
    .join('; ');
}
