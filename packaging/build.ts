/**
 * `npm run build`: the JavaScript of the npm package in dist/ and, of it, the executable for this platform. With
 * `package` only the first, which is what `npm pack` needs.
 */
import { buildBinary } from './binary.ts';
import { bundle } from './bundle.ts';

await bundle();
if (process.argv[2] !== 'package') console.error(`built ${await buildBinary()}`);
