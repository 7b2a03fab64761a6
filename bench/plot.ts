import type { Chart } from './row.ts';

const [WIDTH, BAR, GAP, LABEL, TOP] = [640, 24, 10, 120, 44];

/** Horizontal bars as SVG that is readable on a light and on a dark page. */
export function plot({ title, unit, bars }: Chart): string {
  const longest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const room = WIDTH - LABEL - 110;
  const rows = bars.map(({ name, value }, index) => {
    const y = TOP + index * (BAR + GAP);
    const width = Math.max(1, (value / longest) * room);
    const fill = name.startsWith('asrpro') || name === 'npm start' || name === 'binary' ? '#2563eb' : '#94a3b8';
    return [
      `<text x="${LABEL - 8}" y="${y + 17}" text-anchor="end">${escaped(name)}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3" fill="${fill}"/>`,
      `<text x="${(LABEL + width + 8).toFixed(1)}" y="${y + 17}">${value.toFixed(2)} ${escaped(unit)}</text>`,
    ].join('\n');
  });
  const height = TOP + bars.length * (BAR + GAP) + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>text { font: 14px sans-serif; fill: #334155 } @media (prefers-color-scheme: dark) { text { fill: #e2e8f0 } }</style>
<text x="8" y="24" font-weight="bold">${escaped(title)}</text>
${rows.join('\n')}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
