/**
 * `npm run build -- [--target TRIPLE|all] [--no-snapshot] [--no-uv]`: the JavaScript of the npm package in dist/ and, of it, the
 * executables; without `--target` the one for this machine. With `package` only the first, which is what `npm pack` needs.
 */
import { parseArgs } from 'node:util';
import { bundle } from './bundle.ts';
import { buildExecutable } from './executable.ts';
import { targetsNamed } from './targets.ts';

const { values, positionals } = parseArgs({
  options: {
    target: { type: 'string' },
    snapshot: { type: 'boolean', default: true },
    uv: { type: 'boolean', default: true },
  },
  allowNegative: true,
  allowPositionals: true,
});
const wanted = positionals[0] === 'package' ? [] : targetsNamed(values.target);
await bundle();
for (const target of wanted) {
  const began = performance.now();
  const file = await buildExecutable(target, { snapshot: values.snapshot, uv: values.uv });
  console.error(`built ${file} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
