/**
 * The languages of Whisper: code to English name, as its tokenizer spells both (openai/whisper, `tokenizer.py`). Codes
 * are ISO-639-1, except `haw` and `yue`, which have no such code, and `jw`, which ISO now calls `jv`.
 */
const names = {
  af: 'afrikaans',
  am: 'amharic',
  ar: 'arabic',
  as: 'assamese',
  az: 'azerbaijani',
  ba: 'bashkir',
  be: 'belarusian',
  bg: 'bulgarian',
  bn: 'bengali',
  bo: 'tibetan',
  br: 'breton',
  bs: 'bosnian',
  ca: 'catalan',
  cs: 'czech',
  cy: 'welsh',
  da: 'danish',
  de: 'german',
  el: 'greek',
  en: 'english',
  es: 'spanish',
  et: 'estonian',
  eu: 'basque',
  fa: 'persian',
  fi: 'finnish',
  fo: 'faroese',
  fr: 'french',
  gl: 'galician',
  gu: 'gujarati',
  ha: 'hausa',
  haw: 'hawaiian',
  he: 'hebrew',
  hi: 'hindi',
  hr: 'croatian',
  ht: 'haitian creole',
  hu: 'hungarian',
  hy: 'armenian',
  id: 'indonesian',
  is: 'icelandic',
  it: 'italian',
  ja: 'japanese',
  jw: 'javanese',
  ka: 'georgian',
  kk: 'kazakh',
  km: 'khmer',
  kn: 'kannada',
  ko: 'korean',
  la: 'latin',
  lb: 'luxembourgish',
  ln: 'lingala',
  lo: 'lao',
  lt: 'lithuanian',
  lv: 'latvian',
  mg: 'malagasy',
  mi: 'maori',
  mk: 'macedonian',
  ml: 'malayalam',
  mn: 'mongolian',
  mr: 'marathi',
  ms: 'malay',
  mt: 'maltese',
  my: 'myanmar',
  ne: 'nepali',
  nl: 'dutch',
  nn: 'nynorsk',
  no: 'norwegian',
  oc: 'occitan',
  pa: 'punjabi',
  pl: 'polish',
  ps: 'pashto',
  pt: 'portuguese',
  ro: 'romanian',
  ru: 'russian',
  sa: 'sanskrit',
  sd: 'sindhi',
  si: 'sinhala',
  sk: 'slovak',
  sl: 'slovenian',
  sn: 'shona',
  so: 'somali',
  sq: 'albanian',
  sr: 'serbian',
  su: 'sundanese',
  sv: 'swedish',
  sw: 'swahili',
  ta: 'tamil',
  te: 'telugu',
  tg: 'tajik',
  th: 'thai',
  tk: 'turkmen',
  tl: 'tagalog',
  tr: 'turkish',
  tt: 'tatar',
  uk: 'ukrainian',
  ur: 'urdu',
  uz: 'uzbek',
  vi: 'vietnamese',
  yi: 'yiddish',
  yo: 'yoruba',
  yue: 'cantonese',
  zh: 'chinese',
} as const;

export type LanguageCode = keyof typeof names;

/** All codes, sorted. */
export const languageCodes: readonly LanguageCode[] = Object.keys(names) as LanguageCode[];

/** Other codes for the same languages, from newer or older editions of ISO-639. */
const aliases: Readonly<Record<string, LanguageCode>> = { jv: 'jw', nb: 'no', iw: 'he', in: 'id', fil: 'tl' };

/** Every code that asrpro accepts, in lower case. */
export const languageSpellings: readonly string[] = [...languageCodes, ...Object.keys(aliases)].sort();

/** Whisper's spelling of a code in any case; undefined for anything else, including names of languages. */
export function languageCode(text: string): LanguageCode | undefined {
  const code = text.toLowerCase();
  return isLanguageCode(code) ? code : Object.hasOwn(aliases, code) ? aliases[code] : undefined;
}

export function isLanguageCode(text: string): text is LanguageCode {
  return Object.hasOwn(names, text);
}

/** The lower-case English name that OpenAI writes as `language` in `verbose_json`; undefined for an unknown code. */
export function languageName(code: string): string | undefined {
  return isLanguageCode(code) ? names[code] : undefined;
}
