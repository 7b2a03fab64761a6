import { statOf } from '../config/foreign-file.ts';

/** File systems keep times as coarse as two seconds: what changed so lately may change again within the same time. */
const SETTLED_MS = 2000;

/** Tells whether files are still the ones that they were: size, inode, and the time of the last change of any kind. */
export function stampOf(places: readonly string[]): string {
  return JSON.stringify(
    places.map((place) => {
      const stat = statOf(place);
      return stat === null ? null : [stat.ino, stat.size, stat.ctimeMs];
    }),
  );
}

/** What was found out about places on the disk, as long as the files that it depends on stay as they are. */
export class Remembered<T> {
  readonly #known = new Map<string, { places: readonly string[]; stamp: string; value: T }>();

  /** `look` says what it found, and on which files besides `place` that depends. */
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
