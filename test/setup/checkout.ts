import path from 'node:path';

/** The repository's folder. */
export const checkout: string = path.dirname(path.dirname(import.meta.dirname));
export const mainProgram: string = path.join(checkout, 'src', 'main.ts');
/** Path of a recording in the repository; see test/audio/ATTRIBUTION.md. */
export const audio = (file: string): string => path.join(checkout, 'test', 'audio', file);
/** The text of `english/jfk.flac` in lower case without punctuation. */
export const jfkWords: string =
  'and so my fellow americans ask not what your country can do for you ask what you can do for your country';
