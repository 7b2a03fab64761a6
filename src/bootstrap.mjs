/**
 * Runs a TypeScript program of this checkout: `node src/bootstrap.mjs src/main.ts serve`. Plain JavaScript that needs
 * nothing installed: it installs the Node packages when package-lock.json is not the one they were installed from, then
 * hands over to the Node that is among them (the machine's own may be too old to run TypeScript).
 *
 * A second start compares one hash and runs no installer. stdout belongs to the program; everything here goes to stderr.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const packages = path.join(root, 'node_modules');
/** Written last, when what was installed works: an installation that failed or was killed has none. */
const receipt = path.join(packages, '.installed-from');
const packagedNode = path.join(packages, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

/**
 * Everything the program needs, whatever the person's npm settings and NODE_ENV leave out elsewhere: its own Node, its addon
 * and its tools come with install scripts and as optional and development packages.
 */
const complete = ['--include=dev', '--include=optional', '--ignore-scripts=false', '--dry-run=false', '--global=false'];

const wanted = createHash('sha256')
  .update(`${process.platform} ${process.arch}\n`)
  .update(readFileSync(path.join(root, 'package-lock.json')))
  .digest('hex');

if (!installed()) await install();
const [program, ...args] = process.argv.slice(2);
// The channel tells the program when this process is gone, however it died.
const ended = await run(interpreter(), [path.join(root, program), ...args], ['inherit', 'inherit', 'inherit', 'ipc']);
if (ended.signal) process.kill(process.pid, ended.signal);
process.exitCode = ended.code ?? 1;

function installed() {
  return existsSync(packagedNode) && existsSync(receipt) && readFileSync(receipt, 'utf8') === wanted;
}

/** One installer at a time; what one that was killed left is installed anew. */
async function install() {
  const { take } = await import('./claims/claim.mjs');
  const claim = await take(path.join(root, '.installing'), {
    onWait: () => console.error('asrpro: waiting for another start that installs Node packages ...'),
  });
  const ended = await runInstaller().finally(() => claim.release());
  if (ended.signal) process.kill(process.pid, ended.signal);
  if (ended.code === 0) return;
  console.error('asrpro: the Node packages could not be installed; npm says above why. Then start again.');
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

/** Install scripts have brought the Node and the addon that the program needs. */
async function works() {
  if (!existsSync(packagedNode)) return false;
  if (!existsSync(path.join(packages, 'zeromq'))) return true;
  const load = `require(${JSON.stringify(path.join(packages, 'zeromq'))})`;
  return (await run(packagedNode, ['-e', load], 'ignore').catch(() => ({ code: 1 }))).code === 0;
}

/** The npm that started us, else the one on PATH, which is a .cmd file on Windows and needs a shell there. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) return { file: process.execPath, args: [cli], shell: false };
  return { file: 'npm', args: [], shell: process.platform === 'win32' };
}

/** The packaged Node; our own where no install script has brought it and it can run TypeScript itself. */
function interpreter() {
  if (existsSync(packagedNode)) return packagedNode;
  if (process.features.typescript) return process.execPath;
  console.error('asrpro: node_modules/node holds no program. Let npm run its install scripts, then start again.');
  process.exit(1);
}

/** Runs to the end and passes signals on. The child stays in our process group, as a terminal expects. */
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
 * A signal to npm ends the shell between npm and us, which passes nothing on: that we have another parent now is all that
 * can be seen of it. (Windows keeps the number of the first.)
 */
function watchShell(gone) {
  const shell = process.ppid;
  const look = () => process.ppid === shell || gone();
  return process.env.npm_lifecycle_event ? setInterval(look, 500).unref() : undefined;
}
