import type { z } from 'zod';
import { AsrproError } from '../errors.ts';

/** The first thing that is wrong with validated input, as an error that names the field and what is allowed. */
export function mistakeOf(error: z.ZodError): AsrproError {
  const issue = error.issues[0]!;
  const field = issue.path[0];
  if (field === undefined)
    return new AsrproError('invalid_body', `The body is not what is expected: ${issue.message}.`);
  const param = String(field);
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return new AsrproError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
  }
  return new AsrproError('invalid_value', `Invalid value for '${param}': ${issue.message}.`, { param });
}
