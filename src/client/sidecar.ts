import type {
  DeviceReport,
  Download,
  EngineList,
  Health,
  Installation,
  LoadedModel,
  LoadReport,
  Model,
  ModelList,
  Transcript,
  UnloadReport,
} from './api-types.ts';
import type { Exit } from './exit.ts';
import { type Following, follow } from './follow.ts';
import { type CallOptions, call, type Target } from './http.ts';

export type { Following } from './follow.ts';

/** The process that `launch` has started. */
export interface SidecarProcess {
  url: string;
  pid: number;
  version: string;
  instance: string;
  apiKey: string | null;
  exited: Promise<Exit>;
  /** Asks the sidecar to finish its requests and end. It works on every platform, unlike signals. */
  end(): void;
  kill(): void;
}

export interface TranscribeOptions {
  /** Absent: the selected model, else the configured default. */
  model?: string;
  /** ISO-639-1 code; absent: the model detects it. */
  language?: string;
  prompt?: string;
  /** The server ignores it. */
  filename?: string;
  signal?: AbortSignal;
}

/** A running sidecar. Every call throws SidecarError with the code of docs/errors.md. */
export class Sidecar {
  /** `http://127.0.0.1:52117` */
  readonly url: string;
  /** For OpenAI's SDKs: `new OpenAI({ baseURL: sidecar.baseURL, apiKey: 'none' })`. */
  readonly baseURL: string;
  readonly pid: number;
  readonly version: string;
  /** A UUID that is new for every start. */
  readonly instance: string;
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  readonly #process: SidecarProcess;
  readonly #target: Target;

  constructor(sidecar: SidecarProcess) {
    this.url = sidecar.url;
    this.baseURL = `${sidecar.url}/v1`;
    this.pid = sidecar.pid;
    this.version = sidecar.version;
    this.instance = sidecar.instance;
    this.exited = sidecar.exited;
    this.#process = sidecar;
    this.#target = { url: sidecar.url, apiKey: sidecar.apiKey };
  }

  async health(): Promise<Health> {
    return await this.#call('GET', '/health');
  }

  async models(): Promise<Model[]> {
    return (await this.#call<ModelList>('GET', '/v1/models')).data;
  }

  async model(id: string): Promise<Model> {
    return await this.#call('GET', modelPath(id));
  }

  /** Deletes the model's files. */
  async removeModel(id: string): Promise<void> {
    await this.#call('DELETE', modelPath(id));
  }

  /**
   * Downloads a model, or joins a running download: `for await (const { bytes_done } of sidecar.download(id))`.
   * The last state is `installed`. Throws the download's error. Aborting cancels the download for all clients and keeps the
   * partial files.
   */
  download(id: string, following: Following = {}): AsyncGenerator<Download, void> {
    return follow(this.#target, `${modelPath(id)}/download`, following);
  }

  /** @param keep keeps the partial files, so that a later download continues from them. */
  async cancelDownload(id: string, { keep = true } = {}): Promise<Download> {
    return await this.#call('DELETE', `${modelPath(id)}/download?keep=${keep}`);
  }

  async engines(): Promise<EngineList['engines']> {
    return (await this.#call<EngineList>('GET', '/v1/engines')).engines;
  }

  /** Installs an engine environment, or joins a running installation; see `download`. */
  installEngine(id: Installation['engine'], following: Following = {}): AsyncGenerator<Installation, void> {
    return follow(this.#target, `/v1/engines/${id}/install`, following);
  }

  async cancelInstall(id: Installation['engine']): Promise<Installation> {
    return await this.#call('DELETE', `/v1/engines/${id}/install`);
  }

  async devices(): Promise<DeviceReport> {
    return await this.#call('GET', '/v1/devices');
  }

  async loadedModel(): Promise<LoadedModel> {
    return await this.#call('GET', '/v1/settings/model');
  }

  /** Resolves when the model is loaded and warmed up. If the load fails, the previous model is loaded again. */
  async load(id: string, options: Pick<CallOptions, 'signal'> = {}): Promise<LoadReport> {
    return await this.#call('POST', '/v1/settings/model', { ...options, body: { model_id: id } });
  }

  /** Resolves when the worker process has ended and its memory is free. */
  async unload(): Promise<UnloadReport> {
    return await this.#call('DELETE', '/v1/settings/model');
  }

  /** Transcribes audio in memory. For streams, timestamps and large files use OpenAI's SDK with `baseURL`. */
  async transcribe(audio: Blob, options: TranscribeOptions = {}): Promise<Transcript> {
    const { filename = 'audio', signal, ...fields } = options;
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.append(name, value);
    form.append('file', audio, filename);
    return await this.#call('POST', '/v1/audio/transcriptions', { body: form, signal });
  }

  /**
   * Ends the sidecar when its running requests are finished, or after `server.drainSeconds`. After `seconds` it is killed,
   * and its worker ends with it.
   */
  async stop({ seconds = 30 } = {}): Promise<Exit> {
    this.#process.end();
    const timer = setTimeout(() => this.#process.kill(), seconds * 1000);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  async #call<T>(method: string, path: string, options?: CallOptions): Promise<T> {
    return await call<T>(this.#target, method, path, options);
  }
}

/** Encodes the slash of a hub name. */
function modelPath(id: string): string {
  return `/v1/models/${encodeURIComponent(id)}`;
}
