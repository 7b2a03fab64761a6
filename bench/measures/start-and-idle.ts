import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { checkout } from '../../test/setup/checkout.ts';
import { type Gateway, launchGateway } from '../../test/setup/launch.ts';
import { startAgentCli } from '../peers/agent-cli.ts';
import { cpuSeconds, memory } from '../processes.ts';
import type { Measured, Row, Surroundings } from '../row.ts';
import { median, ratio, spread } from '../statistics.ts';

const MODEL = 'whisper-base';
const NPM_START = ['npm', '--silent', 'start', '--'];

/** Time from the command to the first possible request, memory without a model, and memory after an unload. */
export async function startAndIdle(around: Surroundings): Promise<Measured> {
  const binary = await builtBinary();
  const times: Record<string, number[]> = { 'npm start': [], binary: [], 'agent-cli': [] };
  for (let round = 0; round < around.rounds(4); round += 1) {
    times['npm start']!.push(await startTime(around.home, NPM_START));
    times.binary!.push(await startTime(around.home, [binary, 'serve']));
    if (around.agentCli) {
      const peer = await startAgentCli(around.agentCli, around.modelPath(MODEL), false);
      times['agent-cli']!.push(peer.startSeconds);
      await peer.stop();
    }
  }
  const rows: Row[] = [];
  const shown = Object.entries(times)
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => `${name} ${spread(list)} s`)
    .join(', ');
  if (around.agentCli) {
    for (const [name, target] of [
      ['npm start', 0.6],
      ['binary', 0.2],
    ] as const) {
      const value = ratio(times[name]!, times['agent-cli']!);
      rows.push({ name: `${name} to ready against agent-cli`, value, target, unit: 'x', detail: shown });
    }
  }
  const idle = await idleRows(around, binary);
  return {
    rows: [...rows, ...idle.rows],
    charts: [
      {
        title: 'Start to ready',
        unit: 's',
        bars: Object.entries(times)
          .filter(([, list]) => list.length > 0)
          .map(([name, list]) => ({ name, value: median(list) })),
      },
    ],
    raw: { times, idle: idle.raw },
  };
}

async function idleRows(around: Surroundings, binary: string): Promise<{ rows: Row[]; raw: unknown }> {
  const gateway = await launchGateway({ home: around.home, command: [binary, 'serve'] });
  try {
    await sleep(3000);
    const idle = memory(gateway.pid);
    const cpu = await idleCpu(gateway.pid, around.full ? 60 : 20);
    // The first cycle loads code that stays in the gateway and is no part of a model.
    await cycle(gateway);
    const before = memory(gateway.pid);
    const processes = gateway.processes().length;
    await cycle(gateway);
    const after = memory(gateway.pid);
    const left = gateway.processes().length - processes;
    const lists = await listModels(gateway);
    const mb = (value: number): string => `${value.toFixed(1)} MB`;
    return {
      raw: { idle, before, after, cpu, lists },
      rows: [
        {
          name: 'idle private memory of the gateway (binary), no model',
          value: idle.private,
          target: 45,
          unit: 'MB',
          detail: `PSS ${mb(idle.pss)}; without the pages of the executable as on disk, which the system can drop: ${mb(idle.dirty)}`,
        },
        { name: 'idle CPU', value: cpu, target: 0.1, unit: '%', detail: `over ${around.full ? 60 : 20} s` },
        {
          name: 'memory above idle as soon as an unload returns',
          value: Math.max(0, after.private - before.private),
          target: 1,
          unit: 'MB',
          detail: `private ${mb(before.private)} before the second load, ${mb(after.private)} after its unload`,
        },
        { name: 'processes left after an unload', value: left, target: 0, unit: '', detail: '' },
        { name: 'GET /v1/models', value: median(lists), target: 10, unit: 'ms', detail: `${spread(lists)} ms` },
      ],
    };
  } finally {
    await gateway.stop();
  }
}

async function cycle(gateway: Gateway): Promise<void> {
  const settings = `${gateway.url}/v1/settings/model`;
  const body = { method: 'POST', headers: { 'content-type': 'application/json' } };
  await (await fetch(settings, { ...body, body: JSON.stringify({ model_id: MODEL }) })).arrayBuffer();
  await (await fetch(settings, { method: 'DELETE' })).arrayBuffer();
}

/** Milliseconds of each of 30 calls. */
async function listModels(gateway: Gateway): Promise<number[]> {
  const times: number[] = [];
  for (let call = 0; call < 30; call += 1) {
    const begin = performance.now();
    await (await fetch(`${gateway.url}/v1/models`)).arrayBuffer();
    times.push(performance.now() - begin);
  }
  return times;
}

/** CPU time in per cent of one core. */
async function idleCpu(pid: number, seconds: number): Promise<number> {
  const before = cpuSeconds(pid);
  await sleep(seconds * 1000);
  return ((cpuSeconds(pid) - before) / seconds) * 100;
}

async function startTime(home: string, command: string[]): Promise<number> {
  const begin = performance.now();
  const gateway = await launchGateway({ home, command });
  const seconds = (performance.now() - begin) / 1000;
  process.kill(gateway.pid, 'SIGTERM');
  await gateway.stop();
  return seconds;
}

async function builtBinary(): Promise<string> {
  const dist = path.join(checkout, 'dist');
  const find = (): string | undefined =>
    existsSync(dist) ? readdirSync(dist).find((name) => /^asrpro-[\w-]+(\.exe)?$/.test(name)) : undefined;
  if (find() === undefined) {
    const build = [path.join(checkout, 'packaging', 'build.ts')];
    await execa(process.execPath, build, { cwd: checkout, stdio: ['ignore', 2, 2] });
  }
  return path.join(dist, find()!);
}
