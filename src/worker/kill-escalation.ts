import type { ExitReport } from './exit.ts';
import { within } from './within.ts';

/** How a worker is ended: what to do, and how many seconds to wait for the exit before the next step. */
export type Escalation = readonly { readonly step: KillStep; readonly seconds: number }[];
export type KillStep = 'message' | 'SIGTERM' | 'SIGKILL';

/** @param killSeconds how long a killed process may take to exit. */
export function killAtOnce(killSeconds: number): Escalation {
  return [{ step: 'SIGKILL', seconds: killSeconds }];
}

/**
 * SIGTERM keeps its default action in the worker, because a Python handler would wait for the GIL. So it ends every
 * process that does not block it. SIGKILL goes to the process group and ends the rest, grandchildren included.
 */
export function askFirst(graceSeconds: number, killSeconds: number): Escalation {
  return [
    { step: 'message', seconds: graceSeconds },
    { step: 'SIGTERM', seconds: Math.min(graceSeconds, 2) },
    ...killAtOnce(killSeconds),
  ];
}

export interface KillTarget {
  readonly exited: Promise<ExitReport>;
  ask(): Promise<void>;
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Takes step after step until the process has exited. Resolves with the last step; `exit` is null when none helped. */
export async function escalate(
  escalation: Escalation,
  target: KillTarget,
): Promise<{ exit: ExitReport | null; step: KillStep }> {
  let last: KillStep = 'message';
  for (const { step, seconds } of escalation) {
    last = step;
    if (step === 'message') await target.ask().catch(() => undefined);
    else target.signal(step);
    const exit = await within(target.exited, seconds);
    if (exit !== null) return { exit, step };
  }
  return { exit: null, step: last };
}
