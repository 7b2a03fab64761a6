export const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
form { display: grid; gap: .75rem; border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; gap: 1rem; flex-wrap: wrap; }
button { font: inherit; justify-self: start; padding: .3rem 1rem; }
output, pre { white-space: pre-wrap; overflow-wrap: anywhere; }
output { min-height: 1.5rem; border-left: 3px solid var(--line); padding-left: 1rem; }
output[data-failed] { border-color: #c33; }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; }
code { font-family: ui-monospace, monospace; }
summary code { font-weight: 600; }
pre { background: color-mix(in srgb, currentColor 7%, transparent); padding: .75rem; border-radius: .4rem; font-size: 13px; }
`;
