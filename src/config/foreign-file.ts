/**
 * Looks at what somebody else may have put on the disk: links that lead nowhere, pipes, folders of other users, names
 * that are no text. Nothing here throws or waits: opening a pipe would block the only thread for ever.
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

/** More than any text that is read whole; what is larger is not what it claims to be. */
const LARGEST_TEXT = 4 * 1024 * 1024;

/** Of what a link leads to; null when there is nothing or it cannot be reached. */
export function statOf(place: string): Stats | null {
  try {
    return statSync(place, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

/** Text of a regular file without its byte order mark; null when it cannot be read. */
export function readText(file: string): string | null {
  const stat = statOf(file);
  if (!stat?.isFile() || stat.size > LARGEST_TEXT) return null;
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

/** null for what is missing, no JSON, or no object. */
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

/** Editors on Windows put a byte order mark before UTF-8, which JSON.parse refuses. */
export function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** Why a file cannot be read, or a folder not be listed, for people; null when it can. */
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

/** Whether something of this name is there, a link that leads nowhere included. */
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
