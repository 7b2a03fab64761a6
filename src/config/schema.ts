/**
 * Types, defaults and descriptions of the configuration. config.schema.json, the environment variables and the table in
 * docs/configuration.md are generated from it (`npm run schema`).
 */
import { z } from 'zod';
import { engineIds } from '../engine-table.ts';
import { namesOtherHome, ONLY_OWN_HOME } from './home.ts';

/** Path of a file or folder; load.ts replaces `~`. */
const place = z
  .string()
  .min(1, 'give a path, because an empty one is the current folder')
  .refine((given) => !namesOtherHome(given), ONLY_OWN_HOME);
const bytes = z.number().int().positive();
/** Timers of Node count milliseconds in 31 bits, and end at once when there are more. */
const MAX_SECONDS = 2_000_000;
const seconds = z.number().positive().max(MAX_SECONDS);
const computeType = z.enum([
  'auto',
  'int8',
  'int8_float16',
  'int8_float32',
  'int8_bfloat16',
  'int16',
  'float16',
  'bfloat16',
  'float32',
]);

/** `HOST:PORT` of the head of a cluster; an IPv6 address is in brackets. */
export const HEAD_ADDRESS =
  /^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/;
const replicas = z.number().int().min(1).max(10_000);
const replicaRange = z
  .strictObject({ min: replicas, max: replicas })
  .refine(({ min, max }) => min <= max, { message: 'min is greater than max' });

/** What clients can send in a header. A key with other characters would match no request. */
const headerText = z
  .string()
  .min(1)
  .refine((text) => /^[!-~]+( +[!-~]+)*$/.test(text), 'only ASCII characters are allowed, and no space at its ends');
/** A Host header never has another form, so that such an entry would allow nothing. */
const hostName = z
  .string()
  .refine(
    (text) => /^(\[[0-9a-f:.]+\]|[^\s/@:*]+)(:\d+)?$/i.test(text),
    'give a host name, for example asr.example.com',
  );
/** As browsers send it; apps have schemes of their own. */
const webOrigin = z
  .string()
  .refine(
    (text) => /^(null|[a-z][a-z0-9+.-]*:\/\/[^\s/*]*\/?)$/i.test(text),
    'give the origin of a page, for example https://app.example',
  );
/** Checked further when a request needs it, because models differ in the languages they know. */
const languageSetting = z
  .string()
  .refine((text) => /^([a-z]{2,3}|auto)$/i.test(text), 'give an ISO-639-1 code, for example en, or null');

const modelSettings = z.strictObject({
  computeType: computeType.optional().describe('Number format of the weights; overrides device.computeType.'),
  beamSize: z.number().int().min(1).max(20).optional().describe('Beam width of Whisper; 5 if not set.'),
  language: languageSetting.nullable().optional().describe('ISO-639-1 code for requests without one; null: detect it.'),
});

const customModel = z
  .strictObject({
    id: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/)
      .describe('Name in the API: lower-case letters, digits, dots, dashes.'),
    engine: z.enum(engineIds).optional().describe('Recognised from the files if absent.'),
    repo: z
      .string()
      .regex(/^[\w.-]+\/[\w.-]+$/)
      .optional()
      .describe('Hub repository, `owner/name`.'),
    revision: z.string().optional().describe('Commit, tag or branch of the repository; main if absent.'),
    path: place.optional().describe('Folder (or .nemo file) on this machine, instead of `repo`.'),
    quantization: z.string().optional().describe('onnx-asr only: file suffix, for example int8.'),
    name: z.string().optional(),
    languages: z
      .array(z.string().refine((text) => /^[a-z]{2,3}$/i.test(text), 'give ISO-639-1 codes, for example en'))
      .optional()
      .describe('ISO-639-1 codes.'),
  })
  .refine((model) => (model.repo === undefined) !== (model.path === undefined), {
    message: 'give either repo or path',
  });

export const configSchema = z.strictObject({
  server: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
      port: z.number().int().min(0).max(65535).default(8277).describe('Port to listen on; 0: any free port.'),
      apiKey: headerText.nullable().default(null).describe('If set, all calls but /health need it.'),
      allowedHosts: z.array(hostName).default([]).describe('Host names accepted besides loopback.'),
      allowedOrigins: z.array(webOrigin).default([]).describe('Origins of web pages that may call the API.'),
      maxUploadBytes: bytes.default(1073741824).describe('Largest upload in bytes.'),
      maxQueue: z.number().int().min(1).max(10000).default(32).describe('Maximum number of waiting requests.'),
      queueSeconds: seconds
        .default(120)
        .describe('Maximum time that a request waits before it starts, loads included.'),
      drainSeconds: z
        .number()
        .nonnegative()
        .max(MAX_SECONDS)
        .default(20)
        .describe('Time for running requests to finish after a stop.'),
    })
    .prefault({}),
  models: z
    .strictObject({
      default: z.string().min(1).nullable().default('whisper-base').describe('Model for requests that name none.'),
      directory: place.nullable().default(null).describe('Where models are stored; null: the data directory.'),
      searchDirectories: z.array(place).default([]).describe('Folders that asrpro searches for models.'),
      useHuggingFaceCache: z
        .boolean()
        .default(true)
        .describe('List models that other programs downloaded into the Hugging Face cache.'),
      settings: z.record(z.string(), modelSettings).default({}).describe('Settings by model id.'),
      custom: z.array(customModel).default([]).describe('Additional models: hub repositories or folders.'),
    })
    .prefault({}),
  download: z
    .strictObject({
      endpoint: z
        .url({ protocol: /^https?$/ })
        .default('https://huggingface.co')
        .describe('Base address of the model hub.'),
      offline: z.boolean().default(false).describe('Never use the network.'),
      mirrors: z.boolean().default(true).describe('Use other sources of the same files if the hub is unreachable.'),
    })
    .prefault({}),
  device: z
    .strictObject({
      prefer: z
        .string()
        .regex(/^(auto|cpu|mps|cuda(:\d+)?)$/)
        .default('auto')
        .describe('auto, cpu, cuda, cuda:N or mps.'),
      computeType: computeType
        .default('auto')
        .describe('Number format of the weights; auto chooses one for the device.'),
      threads: z.number().int().min(0).max(1024).default(0).describe('Threads of the engine; 0: the number of cores.'),
      concurrency: z
        .number()
        .int()
        .min(0)
        .max(64)
        .default(0)
        .describe(
          'How many requests run at the same time, and how many pieces of audio the engine decodes in one batch; 0: chosen for engine and machine.',
        ),
    })
    .prefault({}),
  worker: z
    .strictObject({
      python: place.nullable().default(null).describe('Python interpreter for engine environments; null: find one.'),
      loadTimeoutSeconds: seconds.default(300).describe('A load that makes no progress for this long is ended.'),
      stopSeconds: seconds.default(5).describe('Time for the worker to exit before it is killed.'),
    })
    .prefault({}),
  cluster: z
    .strictObject({
      address: z
        .string()
        .refine((text) => HEAD_ADDRESS.test(text), 'give HOST:PORT, for example 10.0.0.1:6379')
        .nullable()
        .default(null)
        .describe('HOST:PORT of the head of the Ray cluster that runs the models; null: this machine runs them.'),
      replicas: z
        .union([replicas, replicaRange])
        .nullable()
        .default(null)
        .describe(
          'Copies of the model on the cluster: a number, {"min", "max"} to scale with the load, or null: one per node.',
        ),
      token: z
        .string()
        .min(1)
        .nullable()
        .default(null)
        .describe('Secret of the cluster; null: read it from `cluster.tokenFile`.'),
      tokenFile: place
        .nullable()
        .default(null)
        .describe(
          'File with the secret of the cluster; null: cluster/token in the data directory, which the head creates.',
        ),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('Lowest level that is logged.'),
      format: z.enum(['auto', 'json', 'text']).default('auto').describe('auto: text on a terminal, otherwise JSON.'),
    })
    .prefault({}),
});

export type Config = z.infer<typeof configSchema>;

/** All defaults. */
export const defaultConfig: Config = configSchema.parse({});
