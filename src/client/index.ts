/**
 * `asrpro/client`: starts asrpro as a sidecar of an app and calls its API. For Node 20 or newer and Electron's main process.
 * It needs no native module and imports no code of the gateway. See docs/embedding.md.
 */
export type * from './api-types.ts';
export type { Exit } from './exit.ts';
export { launch } from './launch.ts';
export type { LaunchOptions } from './options.ts';
export { type Following, Sidecar, type TranscribeOptions } from './sidecar.ts';
export { SidecarError } from './sidecar-error.ts';
