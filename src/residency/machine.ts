import { applyEvent } from './apply-event.ts';
import { decide } from './decide.ts';
import { recordEffect } from './record-effect.ts';
import { type Effect, type Event, initialState, type State } from './state.ts';

export interface MachineOptions {
  limits: State['limits'];
  /** Seconds of a monotonic clock. */
  now(): number;
  perform(effect: Effect): void;
}

/**
 * The only writer of `State`. It applies an event, then asks `decide` until there is nothing to do. Effects are
 * recorded in the state before they are performed, so that every decision sees everything that is in progress.
 */
export class Machine {
  readonly #options: MachineOptions;
  readonly #state: State;
  readonly #events: Event[] = [];
  #busy = false;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#state = initialState(options.limits);
  }

  get state(): Readonly<State> {
    return this.#state;
  }

  /** Events that arrive while effects are performed are queued. */
  dispatch(event: Event): void {
    this.#events.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#handle(next);
    } finally {
      this.#busy = false;
    }
  }

  #handle(event: Event): void {
    const now = this.#options.now();
    applyEvent(this.#state, event, now);
    for (;;) {
      const effects = decide(this.#state, now);
      if (effects.length === 0) return;
      this.#state.pendingEffects = [];
      for (const effect of effects) recordEffect(this.#state, effect);
      for (const effect of effects) this.#options.perform(effect);
    }
  }
}
