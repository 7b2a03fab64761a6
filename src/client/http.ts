import { Agent, request } from 'node:http';
import type { ErrorAnswer } from './api-types.ts';
import { SidecarError } from './sidecar-error.ts';

export interface Target {
  url: string;
  apiKey: string | null;
}

export interface CallOptions {
  /** A form is sent as multipart, any other object as JSON. */
  body?: object | FormData;
  signal?: AbortSignal | undefined;
}

/** Node's own agent sends requests to this machine through HTTP_PROXY where NODE_USE_ENV_PROXY is set. */
const agent = new Agent({ keepAlive: true, timeout: 5_000 });

/**
 * Calls the API, without a time limit: a load or a long transcription may send nothing for minutes, and `fetch` gives up
 * after five. Throws SidecarError.
 */
export async function call<T>(
  { url, apiKey }: Target,
  method: string,
  path: string,
  { body, signal }: CallOptions = {},
): Promise<T> {
  const { content, type } = await encode(body);
  const headers: Record<string, string> = {
    ...(type === null ? {} : { 'content-type': type, 'content-length': String(content.length) }),
    ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const failed = (cause: Error): void => {
      const [code, message] = signal?.aborted
        ? (['aborted', 'The call was aborted.'] as const)
        : (['unreachable', `asrpro does not answer (${cause.message}).`] as const);
      reject(new SidecarError(code, message, { cause }));
    };
    const sent = request(url + path, { method, headers, agent, ...(signal ? { signal } : {}) }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('error', failed);
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    sent.once('error', failed);
    sent.end(content);
  });
  const answer = parsed(text);
  if (status >= 200 && status < 300 && answer !== undefined) return answer as T;
  const { error } = (answer ?? {}) as Partial<ErrorAnswer>;
  if (typeof error?.message !== 'string') {
    throw new SidecarError('unreachable', `The answer at ${url} does not come from asrpro (HTTP status ${status}).`, {
      status,
    });
  }
  throw new SidecarError(error.code ?? error.type, error.message, { status });
}

/** undefined if it is not JSON, for example the page of a proxy. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function encode(body: CallOptions['body']): Promise<{ content: Buffer; type: string | null }> {
  if (body === undefined) return { content: Buffer.alloc(0), type: null };
  if (!(body instanceof FormData)) return { content: Buffer.from(JSON.stringify(body)), type: 'application/json' };
  const form = new Response(body);
  return { content: Buffer.from(await form.arrayBuffer()), type: form.headers.get('content-type') };
}
