import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/schema.ts';
import type { Devices } from '../devices/types.ts';
import type { Downloads } from '../downloads/types.ts';
import type { Engines } from '../engines/types.ts';
import type { Log } from '../log.ts';
import type { ModelLibrary } from '../models/model.ts';
import type { Residency } from '../residency/types.ts';
import type { TranscriptionService } from '../transcription/types.ts';

/** Everything that the HTTP server uses; `app.ts` builds it. */
export interface HttpServerDeps {
  config: Config;
  log: Log;
  version: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Private folder for uploads; each file is removed at the end of its request. */
  spoolDirectory: string;
  library: ModelLibrary;
  downloads: Downloads;
  engines: Engines;
  devices: Devices;
  /** null: models run on this machine. */
  cluster: Cluster | null;
  residency: Residency;
  transcription: TranscriptionService;
}
