import { expect, test } from 'vitest';
import { programBinary as binary } from '../setup/checkout.ts';
import { killedApp } from '../setup/killed-app.ts';

/** `npm run bench -- kill` does this fifty times with a real model and prints the seconds. */
const moments = [0, 60, 150, 250, 400, 800].map((milliseconds) => ({ milliseconds }));

test.each(moments)(
  'an app is killed $milliseconds ms after its start: no process of its sidecar is left',
  async ({ milliseconds }) => {
    expect((await killedApp({ binary, milliseconds, mock: true, model: 'mock-slow' })).left).toEqual([]);
  },
);
