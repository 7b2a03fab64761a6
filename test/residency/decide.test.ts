import { describe, expect, it } from 'vitest';
import { decide, type Head, type Situation } from '../../src/residency/decide.ts';

const job = (model: string, alone = false): Head => ({ kind: 'job', model, alone });
const loaded = (model: string): Situation['resident'] => ({ status: 'loaded', model });
const none: Situation['resident'] = { status: 'none', model: null };

const table: [string, Partial<Situation>, ReturnType<typeof decide>][] = [
  ['nothing in line', { resident: loaded('a') }, { act: 'wait' }],
  ['a load under way', { resident: { status: 'loading', model: 'a' }, head: job('a') }, { act: 'wait' }],
  ['an unload under way', { resident: { status: 'unloading', model: 'a' }, head: job('a') }, { act: 'wait' }],
  ['a job and nothing loaded', { resident: none, head: job('a') }, { act: 'load', model: 'a' }],
  ['a job for the loaded model', { resident: loaded('a'), head: job('a') }, { act: 'start job' }],
  ['a job and no room', { resident: loaded('a'), running: 1, head: job('a') }, { act: 'wait' }],
  [
    'a job and room beside another',
    { resident: loaded('a'), running: 1, concurrency: 2, head: job('a') },
    { act: 'start job' },
  ],
  [
    'a job beside one that runs alone',
    { resident: loaded('a'), running: 1, concurrency: 2, runningAlone: true, head: job('a') },
    { act: 'wait' },
  ],
  [
    'a suspect beside another',
    { resident: loaded('a'), running: 1, concurrency: 2, head: job('a', true) },
    { act: 'wait' },
  ],
  ['a suspect with the machine to itself', { resident: loaded('a'), head: job('a', true) }, { act: 'start job' }],
  ['a job for another model', { resident: loaded('a'), head: job('b') }, { act: 'load', model: 'b' }],
  [
    'a job for another model while one runs',
    { resident: loaded('a'), running: 1, head: job('b') },
    { act: 'prepare', model: 'b' },
  ],
  [
    'a load of the loaded model',
    { resident: loaded('a'), running: 1, head: { kind: 'load', model: 'a' } },
    { act: 'finish command' },
  ],
  [
    'a load of another model',
    { resident: loaded('a'), head: { kind: 'load', model: 'b' } },
    { act: 'load', model: 'b' },
  ],
  ['an unload', { resident: loaded('a'), head: { kind: 'unload', model: null } }, { act: 'unload' }],
  [
    'an unload while a job runs',
    { resident: loaded('a'), running: 1, head: { kind: 'unload', model: null } },
    { act: 'drain' },
  ],
  ['an unload of nothing', { resident: none, head: { kind: 'unload', model: null } }, { act: 'finish command' }],
  [
    'an unload of a model that is not loaded',
    { resident: loaded('a'), running: 1, head: { kind: 'unload', model: 'b' } },
    { act: 'finish command' },
  ],
];

describe('the scheduler', () => {
  it.each(table)('%s', (_name, situation, decision) => {
    expect(
      decide({ resident: none, concurrency: 1, running: 0, runningAlone: false, head: null, ...situation }),
    ).toEqual(decision);
  });
});
