import { z } from 'zod';
import type { DeviceReport } from '../../devices/types.ts';
import { deviceKinds } from '../../engine-table.ts';
import type { HttpServerDeps } from '../deps.ts';
import { mistakeOf } from '../mistake.ts';
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
          .describe('Outcome of a real inference, by engine.'),
      }),
    ),
    selected: z
      .record(z.string(), z.string())
      .describe('Device that a load takes, by engine: the best usable one that `device.prefer` allows, else the CPU.'),
  })
  .meta({ id: 'DeviceReport' });

const reportQuery = z.object({
  refresh: z
    .enum(['true', 'false'])
    .default('false')
    .describe('Detect and test again instead of telling what is known.'),
});

export function deviceRoutes({ devices }: Pick<HttpServerDeps, 'devices'>): Operation[] {
  let refreshing: Promise<DeviceReport> | null = null;
  /** Everybody who asks while it runs gets the same: each one takes all cores for seconds. */
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
      summary: 'Which devices can be used, and why not',
      description:
        'Each is tested by a real inference of each engine; the outcome is remembered. With a cluster: its machines.',
      query: reportQuery,
      answers: [json(deviceReport, 'The devices.')],
      errors: [400],
      handler: async (request) => {
        const query = reportQuery.safeParse(request.query, { reportInput: true });
        if (!query.success) throw mistakeOf(query.error);
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
