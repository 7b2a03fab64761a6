import path from 'node:path';

/** The repository's folder. */
export const checkout: string = path.dirname(path.dirname(import.meta.dirname));
/** The program: for the quick tests the bundle of test/setup/build-program.ts, which starts faster, else the source. */
export const mainProgram: string = process.env.ASRPRO_TEST_PROGRAM ?? path.join(checkout, 'src', 'main.ts');
/** An executable file that starts the bundle; undefined where the client has to start the source. */
export const programBinary: string | undefined = process.env.ASRPRO_TEST_BINARY;
/** Path of a recording in the repository; see test/audio/ATTRIBUTION.md. */
export const audio = (file: string): string => path.join(checkout, 'test', 'audio', file);
/** The text of `english/jfk.flac` in lower case without punctuation. */
export const jfkWords: string =
  'and so my fellow americans ask not what your country can do for you ask what you can do for your country';
