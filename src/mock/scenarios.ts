/** The behaviour of one mock model: an app's integration tests choose a behaviour by choosing a model. */
export interface Scenario {
  id: string;
  description: string;
  /** `crash` and `out-of-memory` end the worker during the load. */
  load: 'ok' | 'crash' | 'out-of-memory' | 'broken';
  /** `echo` answers at once, `slow` with one segment a second. `busy` refuses; `crash` and `hang` send one segment first. */
  job: 'echo' | 'slow' | 'crash' | 'busy' | 'hang';
  /** `installed`: downloaded from the start. Otherwise: the outcome of its download. */
  download: 'installed' | 'succeeds' | 'fails';
}

const echo = { load: 'ok', job: 'echo', download: 'installed' } as const;

/** All mock models; the table in docs/embedding.md is checked against this list. */
export const scenarios: readonly Scenario[] = [
  { id: 'mock-echo', description: 'Answers at once and says what was asked of it.', ...echo },
  { id: 'mock-slow', description: 'Like mock-echo, one segment a second, ten segments.', ...echo, job: 'slow' },
  { id: 'mock-crash-on-load', description: 'Its worker dies whenever it is loaded.', ...echo, load: 'crash' },
  { id: 'mock-crash-in-job', description: 'Its worker dies in every transcription.', ...echo, job: 'crash' },
  { id: 'mock-out-of-memory', description: 'Its worker runs out of memory on load.', ...echo, load: 'out-of-memory' },
  {
    id: 'mock-broken',
    description: 'Its files are damaged: loading fails, the worker lives.',
    ...echo,
    load: 'broken',
  },
  { id: 'mock-busy', description: 'Every transcription is refused with 503 and Retry-After.', ...echo, job: 'busy' },
  { id: 'mock-hang', description: 'Gives one segment and then no sign of life.', ...echo, job: 'hang' },
  { id: 'mock-download', description: 'Not downloaded; its download succeeds.', ...echo, download: 'succeeds' },
  { id: 'mock-download-fails', description: 'Not downloaded; its download fails.', ...echo, download: 'fails' },
];

export function scenarioOf(modelId: string): Scenario {
  const scenario = scenarios.find(({ id }) => id === modelId);
  if (scenario === undefined) throw new Error(`no mock scenario for '${modelId}'`);
  return scenario;
}
