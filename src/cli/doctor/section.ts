import type { Services } from '../../app.ts';
import type { ErrorCode } from '../../errors.ts';
import type { CommandContext } from '../command.ts';

export { megabytes } from '../megabytes.ts';

/** One line of the report. */
export interface Finding {
  name: string;
  /** `ok`: works. `absent`: missing, but not needed. `broken`: needed, but missing or not working. */
  state: 'ok' | 'absent' | 'broken';
  /** What was found, or what is wrong with the remedy; one line. */
  detail: string;
  /** For `broken`: the error that a request would get. The first one in the report decides the exit code. */
  code?: ErrorCode;
}

/** A part of the report. Sections are independent of each other. */
export interface Section {
  title: string;
  /** Key in the JSON output. */
  key: string;
  examine(services: Services, context: CommandContext): Promise<Finding[]>;
}

/** A section that runs before the services are built, because building them removes leftovers of dead gateways. */
export interface EarlySection {
  title: string;
  key: string;
  examineEarly(context: CommandContext): Promise<Finding[]>;
}
