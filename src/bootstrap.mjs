/**
 * Runs a TypeScript program of this checkout: `node src/bootstrap.mjs src/main.ts serve`. It first installs the Node packages if
 * package-lock.json has changed, then starts the program with the Node from these packages, because the machine's Node may be
 * too old to run TypeScript. Without dependencies, for any Node from 20. It writes to stderr; stdout is the program's.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const packages = path.join(root, 'node_modules');
/** Written at the end of a successful installation, so that one that failed or was killed is repeated. */
const receipt = path.join(packages, '.installed-from');
const packagedNode = path.join(packages, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

/**
 * These flags override npm settings and NODE_ENV, which may exclude packages that the program needs: its Node, its addon
 * and its tools are optional and development packages with install scripts.
 */
const complete = ['--include=dev', '--include=optional', '--ignore-scripts=false', '--dry-run=false', '--global=false'];

const wanted = createHash('sha256')
  .update(`${process.platform} ${process.arch}\n`)
  .update(readFileSync(path.join(root, 'package-lock.json')))
  .digest('hex');

if (!installed()) await install();
const [program, ...args] = process.argv.slice(2);
// The program notices the death of this process by the end of the IPC channel.
const ended = await run(interpreter(), [path.join(root, program), ...args], ['inherit', 'inherit', 'inherit', 'ipc']);
if (ended.signal) process.kill(process.pid, ended.signal);
process.exitCode = ended.code ?? 1;

function installed() {
  return existsSync(packagedNode) && existsSync(receipt) && readFileSync(receipt, 'utf8') === wanted;
}

/** Only one process installs at a time. An installation that was killed is repeated. */
async function install() {
  const { take } = await import('./claims/claim.mjs');
  const claim = await take(path.join(root, '.installing'), {
    onWait: () => console.error('asrpro: waiting for another process that is installing the Node packages ...'),
  });
  const ended = await runInstaller().finally(() => claim.release());
  if (ended.signal) process.kill(process.pid, ended.signal);
  if (ended.code === 0) return;
  console.error('asrpro: npm could not install the Node packages; its error is above. Fix it, then start again.');
  process.exit(1);
}

async function runInstaller() {
  if (installed()) return { code: 0 };
  console.error('asrpro: installing Node packages ...');
  rmSync(receipt, { force: true });
  const npm = npmCommand();
  const call = (...command) =>
    run(npm.file, [...npm.args, ...command, '--loglevel=error'], ['ignore', 2, 2], npm.shell);
  const ended = await call('ci', ...complete);
  if (ended.code !== 0) return ended;
  if (!(await works())) await call('rebuild', ...complete);
  if (await works()) writeFileSync(receipt, wanted);
  return ended;
}

/** Whether the install scripts have installed Node and a native addon that loads. */
async function works() {
  if (!existsSync(packagedNode)) return false;
  if (!existsSync(path.join(packages, 'zeromq'))) return true;
  const load = `require(${JSON.stringify(path.join(packages, 'zeromq'))})`;
  return (await run(packagedNode, ['-e', load], 'ignore').catch(() => ({ code: 1 }))).code === 0;
}

/** The npm that started this process, else the npm on PATH. On Windows that is a .cmd file, which needs a shell. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) return { file: process.execPath, args: [cli], shell: false };
  return { file: 'npm', args: [], shell: process.platform === 'win32' };
}

/** The packaged Node; without it, the current Node if it can run TypeScript. */
function interpreter() {
  if (existsSync(packagedNode)) return packagedNode;
  if (process.features.typescript) return process.execPath;
  console.error('asrpro: node_modules/node has no executable. Allow npm to run install scripts, then start again.');
  process.exit(1);
}

/** Runs a program to its end and forwards signals to it. The child stays in this process group, as a terminal expects. */
function run(file, commandArgs, stdio, shell = false) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, commandArgs, { stdio, shell });
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    const forward = (signal) => child.kill(signal);
    for (const signal of signals) process.on(signal, forward);
    const watch = watchShell(() => child.kill('SIGTERM'));
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearInterval(watch);
      for (const name of signals) process.off(name, forward);
      resolve({ code, signal });
    });
  });
}

/**
 * A signal to npm ends the shell between npm and this process, and the shell forwards nothing. The only sign of it is that
 * this process gets another parent. (On Windows the parent's number does not change.)
 */
function watchShell(onExit) {
  const shell = process.ppid;
  const check = () => process.ppid === shell || onExit();
  return process.env.npm_lifecycle_event ? setInterval(check, 500).unref() : undefined;
}
