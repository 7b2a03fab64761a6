import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { mainProgram } from '../test/setup/checkout.ts';

/** The second is twice as large as the first, for the memory. */
const MODELS = ['whisper-tiny.en', 'whisper-base'];
const ROUNDS = 7;

/**
 * A whole `asrpro pull` (sha256 of every byte, fsync), less a command that does nothing, beside curl, which only writes, from
 * the same local server to the same disk in turn. Prints the medians, their ratio, and the peak memory for each model.
 */
export async function downloads(): Promise<void> {
  for (const model of MODELS) await download(model);
}

async function download(model: string): Promise<void> {
  const hub = execa(process.execPath, [path.join(import.meta.dirname, 'hub.ts'), model], { reject: false });
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  try {
    const { value: url } = await hub[Symbol.asyncIterator]().next();
    const [ours, theirs, memory]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const home = path.join(folder, `home-${round}`);
      const pulled = await timed([process.execPath, mainProgram, 'pull', model, '--quiet'], {
        ASRPRO_HOME: home,
        ASRPRO_DOWNLOAD_ENDPOINT: url as string,
      });
      const idle = await timed([process.execPath, mainProgram, 'models', '--quiet'], { ASRPRO_HOME: home });
      ours.push(pulled.seconds - idle.seconds);
      memory.push(pulled.peakBytes - idle.peakBytes);
      rmSync(home, { recursive: true });
      const target = path.join(folder, `curl-${round}`);
      theirs.push((await timed(['curl', '-s', '-o', target, `${url}/a/b/resolve/r/model.bin`])).seconds);
      rmSync(target);
    }
    const [pull, curl] = [median(ours), median(theirs)];
    console.log(
      `${model}, ${ROUNDS} rounds: pull ${pull.toFixed(2)} s, curl ${curl.toFixed(2)} s, ` +
        `throughput of pull / curl ${(curl / pull).toFixed(2)} (goal: at least 0.8); ` +
        `peak memory above an idle command ${(median(memory) / 1e6).toFixed(0)} MB`,
    );
  } finally {
    hub.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs it to the end, and says how long it took and the most memory it had. */
async function timed(command: string[], env: NodeJS.ProcessEnv = {}): Promise<{ seconds: number; peakBytes: number }> {
  const script =
    'import resource,subprocess,sys,time; t=time.monotonic(); subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL); ' +
    'print(time.monotonic()-t, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
  const { stdout } = await execa('python3', ['-c', script, ...command], { env });
  const [seconds, kilobytes] = stdout.split(' ').map(Number);
  return { seconds: seconds!, peakBytes: kilobytes! * 1024 };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
