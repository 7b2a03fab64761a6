import { seeded } from '../../test/setup/seeded.ts';
import { quantile } from '../statistics.ts';

/** Errors and words of one utterance. */
export type Count = readonly [errors: number, words: number];

export const errors = (counts: readonly Count[]): number => counts.reduce((sum, [wrong]) => sum + wrong, 0);
export const words = (counts: readonly Count[]): number => counts.reduce((sum, [, all]) => sum + all, 0);
export const rate = (counts: readonly Count[]): number => (100 * errors(counts)) / words(counts);

const DRAWS = 4000;

/** The 95 % interval of the difference of two error rates in points, from a bootstrap over utterances; null for one utterance. */
export function interval(ours: readonly Count[], theirs: readonly Count[]): [number, number] | null {
  if (ours.length < 2) return null;
  const random = seeded(18);
  const differences = Array.from({ length: DRAWS }, () => {
    let [more, all] = [0, 0];
    for (let draw = 0; draw < ours.length; draw += 1) {
      const at = Math.floor(random() * ours.length);
      more += ours[at]![0] - theirs[at]![0];
      all += ours[at]![1];
    }
    return (100 * more) / all;
  });
  return [quantile(differences, 0.025), quantile(differences, 0.975)];
}
