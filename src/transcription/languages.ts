export { isLanguageCode, type LanguageCode, languageCode, languageCodes, languageName } from '../models/languages.ts';
