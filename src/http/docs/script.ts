/** Runs in the browser. Everything it shows comes from /openapi.json and /v1/models, and is set as text, never as HTML. */
export const script = `
const element = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};
const byId = (id) => document.getElementById(id);

async function fillModels() {
  const { data } = await (await fetch('/v1/models')).json();
  for (const { id, ready } of data) {
    if (ready) byId('model').append(new Option(id, id));
  }
}

async function transcribe(event) {
  event.preventDefault();
  const output = byId('text');
  const button = byId('send');
  output.textContent = 'working ...';
  output.removeAttribute('data-failed');
  button.disabled = true;
  try {
    const answer = await fetch('/v1/audio/' + byId('task').value, { method: 'POST', body: new FormData(event.target) });
    const type = answer.headers.get('content-type') || '';
    const body = type.startsWith('application/json') ? await answer.json() : await answer.text();
    if (!answer.ok) throw new Error(body.error.message);
    output.textContent = typeof body === 'string' ? body.trim() : JSON.stringify(body, null, 2);
  } catch (error) {
    output.dataset.failed = '';
    output.textContent = error.message;
  } finally {
    button.disabled = false;
    output.dataset.done = String(Number(output.dataset.done || 0) + 1);
  }
}

function resolve(schema, all, depth = 0) {
  if (!schema || typeof schema !== 'object' || depth > 12) return schema;
  if (schema.$ref) return resolve(all[schema.$ref.split('/').pop()], all, depth + 1);
  if (Array.isArray(schema)) return schema.map((part) => resolve(part, all, depth + 1));
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolve(value, all, depth + 1)]));
}

function describe(path, method, operation, schemas) {
  const details = element('details');
  details.append(element('summary', '', element('code', method.toUpperCase() + ' ' + path), ' ' + operation.summary));
  if (operation.description) details.append(element('p', operation.description));
  for (const { name, in: where, schema } of operation.parameters || []) {
    details.append(element('p', '', element('code', name), ' (' + where + ') ' + (schema.description || '')));
  }
  const contents = [['Body', (operation.requestBody || {}).content]];
  for (const [status, { description, content }] of Object.entries(operation.responses)) {
    contents.push([status + ': ' + description, Number(status) < 400 ? content : undefined]);
  }
  for (const [title, content] of contents) {
    if (title === 'Body' && !content) continue;
    details.append(element('p', title));
    for (const [type, { schema }] of Object.entries(content || {})) {
      details.append(element('p', '', element('code', type)));
      details.append(element('pre', JSON.stringify(resolve(schema, schemas), null, 2)));
    }
  }
  return details;
}

async function listCalls() {
  const api = await (await fetch('/openapi.json')).json();
  byId('version').textContent = api.info.version;
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      byId('calls').append(describe(path, method, operation, api.components.schemas));
    }
  }
}

byId('form').addEventListener('submit', transcribe);
fillModels();
listCalls();
`;
