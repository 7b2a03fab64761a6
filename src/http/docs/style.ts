export const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 16%, transparent); --soft: color-mix(in srgb, currentColor 5%, transparent); --quiet: color-mix(in srgb, currentColor 62%, transparent); --accent: #2563eb; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
header { display: flex; align-items: baseline; gap: 1rem; flex-wrap: wrap; border-bottom: 1px solid var(--line); padding-bottom: .75rem; }
h1 { font-size: 1.6rem; margin: 0; }
h1 small { font-size: .9rem; font-weight: 400; color: var(--quiet); }
h2 { font-size: 1.15rem; margin: 2rem 0 .75rem; }
#state { margin: 0 0 0 auto; color: var(--quiet); }
form { display: grid; gap: 1rem; border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; }
#access { margin-top: 1rem; grid-template-columns: auto auto 1fr; align-items: end; }
#access[hidden] { display: none; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; gap: 1rem; flex-wrap: wrap; }
label { display: grid; gap: .25rem; font-size: .9rem; color: var(--quiet); }
.drop { border: 1px dashed var(--line); border-radius: .5rem; padding: .75rem; }
input, select, button { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: .4rem; padding: .35rem .6rem; background: var(--soft); }
input[type=file] { border: 0; padding: 0; background: none; width: 100%; }
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
button:disabled { cursor: default; opacity: .5; }
#send { background: var(--accent); border-color: var(--accent); color: #fff; padding: .4rem 1.4rem; }
.run { display: flex; gap: .75rem; align-items: center; flex-wrap: wrap; color: var(--quiet); font-size: .9rem; }
progress { accent-color: var(--accent); width: 10rem; }
output, pre { white-space: pre-wrap; overflow-wrap: anywhere; }
output { min-height: 3rem; max-height: 14rem; overflow: auto; background: var(--soft); border-radius: .5rem; padding: .75rem 1rem; font-variant-numeric: tabular-nums; }
output[data-failed], [role=alert] { color: #dc2626; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; font-weight: 500; color: var(--quiet); }
th, td { padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td small { display: block; color: var(--quiet); max-width: 26rem; }
td:nth-child(3) { white-space: nowrap; }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
summary code { font-weight: 600; }
pre { background: var(--soft); padding: .75rem; border-radius: .4rem; font-size: 13px; }
`;
