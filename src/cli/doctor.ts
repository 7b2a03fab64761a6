import { AsrproError, asAsrproError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';
import type { EarlySection, Finding, Section } from './doctor/section.ts';

const MARKS: Record<Finding['state'], { sign: string; colour: number }> = {
  ok: { sign: 'ok', colour: 32 },
  absent: { sign: '-', colour: 33 },
  broken: { sign: 'no', colour: 31 },
};

export const doctor: Command = {
  name: 'doctor',
  summary: 'what works on this machine, and why not',
  usage: 'doctor',
  maxArguments: 0,
  options: {},
  async run(context) {
    const { terminal } = context;
    const { sections } = await import('./doctor/sections.ts');
    const report: Record<string, Finding[]> = {};
    const early: Record<string, Finding[]> = {};
    for (const section of sections) {
      if ('examineEarly' in section) early[section.key] = await examine(section, context);
    }
    for (const section of sections) {
      report[section.key] = early[section.key] ?? (await examine(section, context));
      if (!terminal.json) terminal.out.write(lines(section.title, report[section.key]!, terminal.colour));
    }
    if (terminal.json) terminal.out.write(`${JSON.stringify(report, null, 2)}\n`);
    const broken = Object.values(report)
      .flat()
      .filter(({ state }) => state === 'broken');
    const [first] = broken;
    if (first === undefined) return;
    const others = broken.length === 1 ? '' : ` (and ${broken.length - 1} more)`;
    throw new AsrproError(first.code ?? 'internal_error', `${first.name}: ${first.detail}${others}`);
  },
};

/** A section that throws becomes a finding, so that the rest of the report still appears. */
async function examine(section: Section | EarlySection, context: CommandContext): Promise<Finding[]> {
  try {
    if ('examineEarly' in section) return await section.examineEarly(context);
    return await section.examine(await context.services(), context);
  } catch (thrown) {
    const { code, message } = asAsrproError(thrown);
    context.log.warn({ err: thrown }, `${section.title} could not be examined`);
    return [{ name: section.key, state: 'broken', code, detail: message }];
  }
}

function lines(title: string, findings: readonly Finding[], colour: boolean): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const rows = findings.map(({ name, state, detail }) => {
    const mark = MARKS[state];
    const sign = mark.sign.padEnd(2);
    return `  ${colour ? `\x1b[${mark.colour}m${sign}\x1b[39m` : sign} ${name.padEnd(width)}  ${detail}\n`;
  });
  return `${title}\n${rows.join('')}`;
}
