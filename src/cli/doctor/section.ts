import type { Services } from '../../app.ts';
import type { ErrorCode } from '../../errors.ts';
import type { CommandContext } from '../command.ts';

/** One line of the report. */
export interface Finding {
  name: string;
  /** `ok`: works. `absent`: not there, and nothing needs it. `broken`: something that is needed does not work. */
  state: 'ok' | 'absent' | 'broken';
  /** What was found or why not, with the remedy; one line. */
  detail: string;
  /** For `broken`: the error that a use would end with. The first one of all decides the exit code. */
  code?: ErrorCode;
}

/** A part of the report. Sections are independent: what one finds out is not told to another. */
export interface Section {
  title: string;
  /** Key in the JSON output. */
  key: string;
  examine(services: Services, context: CommandContext): Promise<Finding[]>;
}

/** One that looks before the services are built, which removes what dead gateways left. */
export interface EarlySection {
  title: string;
  key: string;
  examineEarly(context: CommandContext): Promise<Finding[]>;
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6).toLocaleString('en')} MB`;
