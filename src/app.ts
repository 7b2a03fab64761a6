import type { Paths } from './config/paths.ts';
import type { Config } from './config/schema.ts';
import type { Devices } from './devices/types.ts';
import type { Downloads } from './downloads/types.ts';
import type { Engines } from './engines/types.ts';
import type { Log } from './log.ts';
import type { ModelLibrary } from './models/model.ts';
import type { Residency } from './residency/types.ts';
import type { TranscriptionService } from './transcription/types.ts';

/** The rooms of the program. `app.ts` builds and wires them; nothing else does. */
export interface Services {
  readonly config: Config;
  readonly paths: Paths;
  readonly log: Log;
  readonly library: ModelLibrary;
  readonly downloads: Downloads;
  readonly engines: Engines;
  readonly devices: Devices;
  readonly residency: Residency;
  readonly transcription: TranscriptionService;
  close(): Promise<void>;
}

export type ServiceParts = Pick<Services, 'config' | 'paths' | 'log'> & { environment: NodeJS.ProcessEnv };

export async function buildServices(_parts: ServiceParts): Promise<Services> {
  throw new Error('not wired yet');
}
