/**
 * `npm run build -- [--target TRIPLE|all] [--no-snapshot] [--no-uv]` builds the npm package's JavaScript in dist/ and from it
 * the executables; without `--target` only the one for this machine. `package` builds only the JavaScript, for `npm pack`.
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
