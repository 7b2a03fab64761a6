/** The second part of the browser script: the loaded model, and the table of models with their buttons. */
export const models = `
const size = (bytes) => (bytes === null ? '' : bytes < 1e9 ? Math.round(bytes / 1e6) + ' MB' : (bytes / 1e9).toFixed(1) + ' GB');
const downloads = new Map();

async function refresh() {
  const { current_model: model, device, worker } = await ask('/health');
  const memory = worker.memory_bytes ? ', ' + size(worker.memory_bytes) : '';
  byId('state').textContent = model === null ? 'no model loaded' : model + ' on ' + device + memory;
  byId('unload').hidden = model === null;
  const { data } = await ask('/v1/models');
  const select = byId('model');
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...data.filter(({ ready }) => ready).map(({ id }) => new Option(id, id)));
  select.value = chosen;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  byId('models').replaceChildren(...data.map(row));
}

function row(model) {
  const name = element('td', '', element('code', model.id));
  if (model.description) name.append(element('small', model.description));
  const languages = model.languages === null ? '' : model.languages.length > 4 ? model.languages.length + ' languages' : model.languages.join(', ');
  const state = element('td');
  const action = element('td');
  const row = element('tr', '', name, element('td', languages), element('td', size(model.size_bytes)), state, action);
  row.dataset.model = model.id;
  const job = downloads.get(model.id);
  if (job) showDownload(job, state, action);
  else {
    state.textContent = model.loaded ? 'loaded' : model.ready ? 'ready' : model.downloaded ? 'not ready' : 'not downloaded';
    if (!model.ready && model.reason) state.append(element('small', model.reason));
    if (!model.downloaded) action.append(button('Download', () => download(model.id)));
    else if (model.ready && !model.loaded) action.append(button('Load', (pressed) => load(model.id, pressed, state)));
  }
  return row;
}

function button(text, onClick) {
  const control = element('button', text);
  control.type = 'button';
  control.addEventListener('click', () => onClick(control));
  return control;
}

function showDownload(job, state, action) {
  const bar = element('progress');
  if (job.bytes_total) bar.value = job.bytes_done / job.bytes_total;
  const left = job.seconds_left === null ? '' : ', ' + Math.ceil(job.seconds_left) + ' s left';
  state.append(bar, element('small', job.status + ' ' + size(job.bytes_done) + left));
  action.append(button('Cancel', () => ask('/v1/models/' + job.model + '/download', { method: 'DELETE' })));
}

async function download(id) {
  const path = '/v1/models/' + id + '/download';
  try {
    let job = await ask(path, { method: 'POST' });
    while (!['installed', 'failed', 'cancelled'].includes(job.status)) {
      downloads.set(id, job);
      await refresh();
      await new Promise((resolve) => setTimeout(resolve, 500));
      job = await ask(path);
    }
    downloads.delete(id);
    await refresh();
    if (job.error) stateOf(id).append(element('small', job.error.message));
  } catch (error) {
    downloads.delete(id);
    stateOf(id).append(element('small', error.message));
  }
}

const stateOf = (id) => document.querySelector('tr[data-model="' + CSS.escape(id) + '"] td:nth-child(4)');

async function load(id, pressed, state) {
  pressed.disabled = true;
  state.textContent = 'loading';
  try {
    await ask('/v1/settings/model', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model_id: id }) });
    await refresh();
  } catch (error) {
    await refresh();
    stateOf(id).append(element('small', error.message));
  }
}

byId('unload').addEventListener('click', async () => {
  const { memory } = await ask('/v1/settings/model', { method: 'DELETE' });
  await refresh();
  byId('state').textContent += ', ' + size(memory.returned_bytes) + ' returned';
});
`;
