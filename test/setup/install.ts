import { installForTests } from './shared-home.ts';

/** vitest's global setup of the tests with real engines and models. */
export default installForTests;
