import { describe, expect, it } from 'vitest';
import { decideStart } from '../../src/worker/restart-policy.ts';

describe('the restart policy', () => {
  it.each([
    ['no crash', [], 100, { start: true, delaySeconds: 0 }],
    ['one crash: at once', [100], 100, { start: true, delaySeconds: 0 }],
    ['two: a quarter of a second', [99, 100], 100, { start: true, delaySeconds: 0.25 }],
    ['the delay doubles', [98, 99, 100], 100, { start: true, delaySeconds: 0.5 }],
    ['and counts from the last crash', [98, 99, 100], 100.4, { start: true, delaySeconds: expect.closeTo(0.1) }],
    ['five in three minutes: left to cool down', [96, 97, 98, 99, 100], 110, { start: false, retryAfterSeconds: 20 }],
    ['cooled down: one more try', [96, 97, 98, 99, 100], 131, { start: true, delaySeconds: 0 }],
    ['old crashes are forgotten', [1, 2, 3, 4, 5], 500, { start: true, delaySeconds: 0 }],
  ])('%s', (_name, crashes, now, decision) => {
    expect(decideStart(crashes, now, 0)).toEqual(decision);
  });

  it('adds at most a quarter of jitter', () => {
    expect(decideStart([99, 100], 100, 1)).toEqual({ start: true, delaySeconds: 0.3125 });
  });
});
