import type { Exit } from './exit.ts';

export interface LaunchOptions {
  /** Path of the executable. Absent: the program of the installed package, run by the app's own Node or Electron. */
  binary?: string;
  /** Model to load before `launch` resolves; `last` loads the last selected model. */
  model?: string;
  /** Uses the built-in mock instead of engines and models, for the app's tests. */
  mock?: boolean;
  /** Folder of the configuration, engines and models (ASRPRO_HOME). Absent: the platform's usual directories. */
  home?: string;
  /** API key that all calls but /health need; absent: ASRPRO_SERVER_API_KEY. `Sidecar` sends it automatically. */
  apiKey?: string;
  /** Additional flags of `serve`. */
  args?: readonly string[];
  /** Environment of the sidecar; absent: the app's environment. */
  environment?: NodeJS.ProcessEnv;
  /** Kills the sidecar during its start; `launch` then rejects with `aborted`. */
  signal?: AbortSignal;
  /** Called with every line of its log. */
  onLog?(line: string): void;
  /** Called once when a sidecar that was ready has ended, for any reason. The app decides whether to start another. */
  onExit?(exit: Exit): void;
}
