import { statOf } from '../config/foreign-file.ts';

/** Some file systems store times in steps of two seconds, so a later change can have the same time as the last one. */
const SETTLED_MS = 2000;

/** A text that changes when one of the files does: inode, size, and the time of the last change of any kind. */
export function stampOf(places: readonly string[]): string {
  return JSON.stringify(
    places.map((place) => {
      const stat = statOf(place);
      return stat === null ? null : [stat.ino, stat.size, stat.ctimeMs];
    }),
  );
}

/** A cache of facts about paths. An entry is valid until one of the files that it depends on changes. */
export class Remembered<T> {
  readonly #known = new Map<string, { places: readonly string[]; stamp: string; value: T }>();

  /** `look` returns the value and the files, besides `place`, that it depends on. */
  get(place: string, look: () => { value: T; depends: readonly string[] }): T {
    const known = this.#known.get(place);
    if (known !== undefined && known.stamp === stampOf(known.places)) return known.value;
    const before = stampOf([place]);
    const { value, depends } = look();
    const places = [place, ...depends];
    this.#known.delete(place);
    if (before === stampOf([place]) && settled(places)) {
      this.#known.set(place, { places, stamp: stampOf(places), value });
    }
    return value;
  }
}

function settled(places: readonly string[]): boolean {
  const latest = Math.max(...places.map((place) => statOf(place)?.ctimeMs ?? 0));
  return latest < Date.now() - SETTLED_MS;
}
