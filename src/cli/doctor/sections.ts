import { cluster } from './cluster.ts';
import { devices } from './devices.ts';
import { disk } from './disk.ts';
import { engines } from './engines.ts';
import { models } from './models.ts';
import { python } from './python.ts';
import type { EarlySection, Section } from './section.ts';
import { supervision } from './supervision.ts';

/** Everything that `asrpro doctor` checks, in the order of its report. */
export const sections: readonly (Section | EarlySection)[] = [
  python,
  engines,
  devices,
  cluster,
  models,
  disk,
  supervision,
];
