import { begun } from './begun.ts';
import { decide } from './decide.ts';
import { happened } from './happened.ts';
import { type Effect, type Event, initialState, type State } from './state.ts';

export interface MachineOptions {
  limits: State['limits'];
  /** Seconds of one clock. */
  now(): number;
  perform(effect: Effect): void;
}

/**
 * The only writer of `State`. An event is written down, then `decide` is asked until it has nothing to do; what it wants
 * is written down as well before it is performed, so that every decision sees all that is under way.
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

  /** Events that come while effects are performed wait for their turn. */
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
    happened(this.#state, event, now);
    for (;;) {
      const effects = decide(this.#state, now);
      if (effects.length === 0) return;
      this.#state.news = [];
      for (const effect of effects) begun(this.#state, effect);
      for (const effect of effects) this.#options.perform(effect);
    }
  }
}
