/**
 * A command that transcribes a file, to be pasted into a shell. The path of the file may contain spaces and quotes, for
 * the shell and for curl, in which `;` and `,` have a meaning.
 */
export function sampleCall(url: string, file: string, needsKey: boolean): string {
  const key = needsKey ? ' -H "Authorization: Bearer $ASRPRO_SERVER_API_KEY"' : '';
  return `curl ${url}/v1/audio/transcriptions${key} -F ${formFile(file)} -F response_format=text`;
}

function formFile(file: string): string {
  if (/^[\w./-]+$/.test(file)) return `file=@${file}`;
  const forCurl = `file=@"${file.replace(/[\\"]/g, '\\$&')}"`;
  return `'${forCurl.replaceAll("'", "'\\''")}'`;
}
