/**
 * Reads entries that other programs may have created: broken links, pipes, folders of other users, names that are not
 * text. Nothing here throws or blocks: opening a pipe would block the gateway's only thread for ever.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import { errnoWords } from '../disk-error.ts';

/** Larger than any text file that asrpro reads whole. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** Follows links; null if the entry does not exist or cannot be reached. */
export function statOf(place: string): Stats | null {
  try {
    return statSync(place, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

/** Text of a regular file without its byte order mark; null if it cannot be read. */
export function readText(file: string): string | null {
  const stat = statOf(file);
  if (!stat?.isFile() || stat.size > MAX_TEXT_BYTES) return null;
  try {
    const handle = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return fstatSync(handle).isFile() ? withoutMark(readFileSync(handle, 'utf8')) : null;
    } finally {
      closeSync(handle);
    }
  } catch {
    return null;
  }
}

/** null if the file is missing, is not JSON or is not an object. */
export function readJsonObject(file: string): Record<string, unknown> | null {
  const text = readText(file);
  if (text === null) return null;
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Editors on Windows begin UTF-8 files with a byte order mark, which JSON.parse refuses. */
export function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** Why a file cannot be read or a folder cannot be listed, for error messages; null if it can. */
export function whyUnreadable(place: string, wanted: 'file' | 'folder'): string | null {
  try {
    const stat = statSync(place);
    if (wanted === 'folder') {
      if (!stat.isDirectory()) return 'it is not a folder';
      readdirSync(place);
      return null;
    }
    if (!stat.isFile()) return `it is ${kindOf(stat)} and not a file`;
    closeSync(openSync(place, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)));
    return null;
  } catch (error) {
    return isDanglingLink(place) ? 'it is a link that leads nowhere (ENOENT)' : errnoWords(error);
  }
}

/** Whether an entry with this name exists. A broken link counts. */
export function entryExists(place: string): boolean {
  try {
    return lstatSync(place, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function isDanglingLink(place: string): boolean {
  try {
    return statSync(place, { throwIfNoEntry: false }) === undefined && entryExists(place);
  } catch {
    return false;
  }
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return 'a folder';
  if (stat.isFIFO()) return 'a pipe';
  return stat.isSocket() ? 'a socket' : 'a device';
}
