import { z } from 'zod';
import type { DeviceReport } from '../../devices/types.ts';
import { deviceKinds } from '../../engine-table.ts';
import type { HttpServerDeps } from '../deps.ts';
import { invalidInput } from '../invalid-input.ts';
import { json, type Operation, operation } from '../operation.ts';

const deviceReport = z
  .object({
    devices: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(deviceKinds),
        name: z.string(),
        memory_bytes: z.int().nullable(),
        usable: z.boolean(),
        reason: z.string().nullable(),
        engines: z
          .record(
            z.string(),
            z.object({ usable: z.boolean(), compute_types: z.array(z.string()), reason: z.string().nullable() }),
          )
          .describe('Result of a test inference, by engine.'),
      }),
    ),
    selected: z
      .record(z.string(), z.string())
      .describe('Device that a load uses, by engine: the best usable one that `device.prefer` allows, else the CPU.'),
  })
  .meta({ id: 'DeviceReport' });

const reportQuery = z.object({
  refresh: z
    .enum(['true', 'false'])
    .default('false')
    .describe('true: detect and test again instead of returning the remembered result.'),
});

export function deviceRoutes({ devices }: Pick<HttpServerDeps, 'devices'>): Operation[] {
  let refreshing: Promise<DeviceReport> | null = null;
  /** Requests during a refresh share its result, because each refresh uses all cores for seconds. */
  const refresh = (): Promise<DeviceReport> => {
    refreshing ??= devices.report({ refresh: true }).finally(() => {
      refreshing = null;
    });
    return refreshing;
  };
  return [
    operation({
      method: 'GET',
      path: '/v1/devices',
      summary: 'List the devices, with the reason for each that cannot be used',
      description:
        'Each engine tests each device with a real inference, and the result is remembered. With a cluster: its machines.',
      query: reportQuery,
      answers: [json(deviceReport, 'The devices.')],
      errors: [400],
      handler: async (request) => {
        const query = reportQuery.safeParse(request.query, { reportInput: true });
        if (!query.success) throw invalidInput(query.error);
        return reportJson(await (query.data.refresh === 'true' ? refresh() : devices.report()));
      },
    }),
  ];
}

export function reportJson({ devices, selected }: DeviceReport): z.input<typeof deviceReport> {
  return {
    devices: devices.map(({ id, kind, name, memoryBytes, usable, reason, engines }) => ({
      ...{ id, kind, name, memory_bytes: memoryBytes, usable, reason },
      engines: Object.fromEntries(
        Object.entries(engines).map(([engine, outcome]) => [
          engine,
          { usable: outcome.usable, compute_types: outcome.computeTypes, reason: outcome.reason },
        ]),
      ),
    })),
    selected,
  };
}
