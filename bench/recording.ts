/**
 * `npm run bench -- recording`: runs the commands of README with the real program and writes docs/images/terminal.svg, an
 * animation without a script. Waiting times are shortened; text and figures are those of the run.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from '../test/setup/checkout.ts';
import { sharedHome } from '../test/setup/shared-home.ts';

const COLUMNS = 96;
const LINE = 19;
const MARGIN = 18;
/** Seconds before the next command, and before the animation starts again. */
const PAUSE = 3.2;
const END = 4;

interface Shown {
  text: string;
  at: number;
  isCommand: boolean;
}

export async function recording(): Promise<void> {
  const env = { ASRPRO_HOME: sharedHome, NO_COLOR: '1' };
  const gateway = execa('npm', ['start'], { cwd: checkout, env, all: true, forceKillAfterDelay: 5_000 });
  const banner = await new Promise<string>((resolve, reject) => {
    let said = '';
    gateway.all.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (/response_format=text\n/.test(said)) resolve(said);
    });
    gateway.catch(reject);
  });
  const server = /http:\/\/127\.0\.0\.1:\d+/.exec(banner)![0];
  const shown: Shown[] = [];
  let now = 0.3;
  const show = (command: string, output: string): void => {
    shown.push({ text: `$ ${command}`, at: now, isCommand: true });
    now += 0.9;
    for (const text of wrapped(output)) shown.push({ text, at: now, isCommand: false });
    now += PAUSE;
  };
  show('npm start', banner.split('\n').filter(isForPeople).join('\n'));
  for (const [command, address, ...args] of [
    [
      'curl localhost:8277/v1/audio/transcriptions -F file=@jfk.flac',
      '/v1/audio/transcriptions',
      '-F',
      'file=@test/audio/english/jfk.flac',
    ],
    ['curl localhost:8277/health', '/health'],
    ['curl localhost:8277/v1/settings/model -X DELETE', '/v1/settings/model', '-X', 'DELETE'],
  ] as const) {
    const { stdout } = await execa('curl', ['-s', `${server}${address}`, ...args], { cwd: checkout });
    show(command, stdout);
  }
  gateway.kill('SIGTERM');
  await gateway.catch(() => undefined);
  writeFileSync(path.join(checkout, 'docs', 'images', 'terminal.svg'), drawing(shown, now + END));
}

/** Leaves out the lines of npm about itself and the line for programs. */
function isForPeople(line: string): boolean {
  return line.trim() !== '' && !/^(> |\{"event")/.test(line);
}

function wrapped(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .flatMap((line) => line.match(new RegExp(`.{1,${COLUMNS - 1}}(?:[ ,]|.$|$)|.{1,${COLUMNS}}`, 'g')) ?? ['']);
}

function drawing(lines: readonly Shown[], seconds: number): string {
  const height = 2 * MARGIN + lines.length * LINE;
  const width = 2 * MARGIN + COLUMNS * 8.4;
  const frames = [...new Set(lines.map(({ at }) => at))].map((at, index) => {
    const from = ((at / seconds) * 100).toFixed(2);
    return `@keyframes f${index}{0%,${from}%{opacity:0}${(Number(from) + 0.01).toFixed(2)}%,100%{opacity:1}}.f${index}{animation:f${index} ${seconds.toFixed(1)}s infinite}`;
  });
  const moments = [...new Set(lines.map(({ at }) => at))];
  const rows = lines.map(
    ({ text, at, isCommand }, row) =>
      `<text class="f${moments.indexOf(at)}${isCommand ? ' c' : ''}" x="${MARGIN}" y="${MARGIN + 14 + row * LINE}" xml:space="preserve">${escaped(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width.toFixed(0)} ${height}" role="img" aria-label="npm start, a transcription, /health, and unloading the model">
<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d1d5db}.c{fill:#7dd3fc;font-weight:600}
${frames.join('\n')}
@media (prefers-reduced-motion:reduce){text{animation:none!important}}</style>
<rect width="100%" height="100%" rx="10" fill="#111827"/>
${rows.join('\n')}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
