/** A stream from one producer to one consumer. Unlike a ReadableStream, it delivers what was pushed before `fail`. */
export interface Channel<T> extends AsyncIterable<T> {
  push(value: T): void;
  end(): void;
  fail(error: Error): void;
}

export function createChannel<T>(): Channel<T> {
  const values: T[] = [];
  let outcome: { error: Error | null } | null = null;
  let wake: () => void = () => undefined;

  return {
    push(value) {
      values.push(value);
      wake();
    },
    end() {
      outcome ??= { error: null };
      wake();
    },
    fail(error) {
      outcome ??= { error };
      wake();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        while (values.length > 0) yield values.shift() as T;
        if (outcome?.error) throw outcome.error;
        if (outcome) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
