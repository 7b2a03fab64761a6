/** The last part of the browser script: lists the calls of /openapi.json and starts all parts. */
export const calls = `
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
  const api = await ask('/openapi.json');
  byId('version').textContent = api.info.version;
  byId('calls').replaceChildren();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      byId('calls').append(describe(path, method, operation, api.components.schemas));
    }
  }
}

/** If a key is missing, refresh() shows the field for it and the error; listCalls() fails the same way. */
function start() {
  refresh().catch((error) => {
    byId('state').textContent = error.message;
  });
  listCalls().catch(() => undefined);
}
start();
`;
