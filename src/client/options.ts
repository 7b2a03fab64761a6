import type { Exit } from './exit.ts';

export interface LaunchOptions {
  /** Path of the executable. Absent: the program of the installed package, on the Node (or Electron) that runs the app. */
  binary?: string;
  /** Model to load before `launch` resolves; `last` is the one that was selected last. */
  model?: string;
  /** The built-in fake instead of engines and models: for the app's tests. */
  mock?: boolean;
  /** Where configuration, engines and models live (ASRPRO_HOME). Absent: the platform's usual directories. */
  home?: string;
  /** Everything but /health then needs it; this launcher sends it by itself. */
  apiKey?: string;
  /** Further flags of `serve`. */
  args?: readonly string[];
  /** Environment of the sidecar; absent: that of the app. */
  environment?: NodeJS.ProcessEnv;
  /** Ends the sidecar while it starts; `launch` then rejects with `aborted`. */
  signal?: AbortSignal;
  /** Every line of its log. */
  onLog?(line: string): void;
  /** Once, when it is gone, for whatever reason, if it had been ready before. Starting another is the app's decision. */
  onExit?(exit: Exit): void;
}
