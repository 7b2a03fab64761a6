import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { startFaultHub } from '../test/downloads/fault-hub.ts';
import { modelFiles } from '../test/downloads/model-files.ts';
import { mainProgram } from '../test/setup/checkout.ts';

const MODEL = 'whisper-base';
const ROUNDS = 5;

/**
 * A whole `asrpro pull` (start of the program, sha256 of every byte, fsync) beside curl, which only writes, from the same
 * local server to the same disk in turn. Prints the medians, their ratio, and the peak memory of both sizes of model.
 */
export async function downloads(): Promise<void> {
  await using hub = await startFaultHub(modelFiles(MODEL));
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  try {
    const [ours, theirs]: [number[], number[]] = [[], []];
    let memory = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const home = path.join(folder, `home-${round}`);
      const pulled = await timed([process.execPath, mainProgram, 'pull', MODEL, '--quiet'], {
        ASRPRO_HOME: home,
        ASRPRO_DOWNLOAD_ENDPOINT: hub.url,
      });
      const idle = await timed([process.execPath, mainProgram, 'models', '--quiet'], { ASRPRO_HOME: home });
      ours.push(pulled.seconds - idle.seconds);
      memory = Math.max(memory, pulled.peakBytes - idle.peakBytes);
      const target = path.join(folder, 'curl.bin');
      theirs.push((await timed(['curl', '-s', '-o', target, `${hub.url}/a/b/resolve/r/model.bin`])).seconds);
      rmSync(home, { recursive: true });
    }
    const [pull, curl] = [median(ours), median(theirs)];
    console.log(`download of ${MODEL}, ${ROUNDS} rounds: pull ${pull.toFixed(2)} s, curl ${curl.toFixed(2)} s`);
    console.log(`throughput of pull / curl: ${(curl / pull).toFixed(2)} (goal: at least 0.8)`);
    console.log(`peak memory above an idle command: ${(memory / 1e6).toFixed(0)} MB`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs it to the end under GNU time's accounting. */
async function timed(command: string[], env: NodeJS.ProcessEnv = {}): Promise<{ seconds: number; peakBytes: number }> {
  const startedAt = performance.now();
  const script =
    'import resource,subprocess,sys; subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
  const { stdout } = await execa('python3', ['-c', script, ...command], { env });
  return { seconds: (performance.now() - startedAt) / 1000, peakBytes: Number(stdout) * 1024 };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
