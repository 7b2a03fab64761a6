import type { z } from 'zod';
import { AsrproError } from '../errors.ts';

/** The first validation issue as an error that names the field and the allowed values. */
export function invalidInput(error: z.ZodError): AsrproError {
  const issue = error.issues[0]!;
  const field = issue.path[0];
  if (field === undefined) return new AsrproError('invalid_body', `The body has the wrong shape: ${issue.message}.`);
  const param = String(field);
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return new AsrproError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
  }
  return new AsrproError('invalid_value', `Invalid value for '${param}': ${issue.message}.`, { param });
}
