/**
 * `asrpro/client`: starts asrpro beside an app and talks to it. For Node 20 or newer and for Electron's main process;
 * no native module, nothing of the gateway. docs/embedding.md tells the rest.
 */
export type * from './api-types.ts';
export type { Exit } from './exit.ts';
export { launch } from './launch.ts';
export type { LaunchOptions } from './options.ts';
export { type Following, Sidecar, type TranscribeOptions } from './sidecar.ts';
export { SidecarError } from './sidecar-error.ts';
