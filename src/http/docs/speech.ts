/**
 * The first part of the browser script: requests with the API key, and the form. It shows answers as text, never as HTML.
 * Uploads use XMLHttpRequest, because fetch does not report their progress.
 */
export const speech = `
const byId = (id) => document.getElementById(id);
const element = (name, text, ...children) => {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
};

function headers() {
  const key = sessionStorage.getItem('key');
  return key ? { authorization: 'Bearer ' + key } : {};
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  const body = await answer.json();
  if (answer.status === 401) askForKey(body.error.message);
  if (!answer.ok) throw new Error(body.error.message);
  return body;
}

function askForKey(reason) {
  byId('access').hidden = false;
  byId('refused').textContent = sessionStorage.getItem('key') ? reason : '';
}

byId('access').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('key', byId('key').value);
  byId('access').hidden = true;
  start();
});

function send(path, form, onUpload, onText, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onUpload(loaded / total);
    request.upload.onload = () => onUpload(1);
    request.onprogress = () => onText(request);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Error('The connection to asrpro was lost.'));
    request.onabort = () => reject(new Error('Cancelled.'));
    signal.onabort = () => request.abort();
    request.send(form);
  });
}

/** The text of an event stream so far. Throws the error frame if there is one. */
function textOf(stream) {
  let text = '';
  for (const line of stream.split('\\n')) {
    if (!line.startsWith('data: {') || !line.endsWith('}')) continue;
    const event = JSON.parse(line.slice(6));
    if (event.error) throw new Error(event.error.message);
    if (event.delta) text += event.delta;
  }
  return text;
}

function formFor(format) {
  const form = new FormData();
  const fields = { file: byId('file').files[0], model: byId('model').value, language: byId('language').value };
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  form.append('response_format', format === 'words' ? 'verbose_json' : format === 'text' ? 'json' : format);
  if (format === 'words') form.append('timestamp_granularities[]', 'word');
  // The API does not stream translations.
  if (format === 'text' && byId('task').value === 'transcriptions') form.append('stream', 'true');
  return form;
}

function shown(request, format) {
  const isStream = (request.getResponseHeader('content-type') || '').startsWith('text/event-stream');
  if (isStream) return textOf(request.responseText);
  const body = JSON.parse(request.responseText);
  if (request.status === 401) askForKey(body.error.message);
  if (request.status >= 400) throw new Error(body.error.message);
  if (format === 'text') return body.text;
  if (format === 'words') return (body.words || []).map(wordLine).join('\\n');
  return JSON.stringify(body, null, 2);
}

function wordLine({ start, end, word }) {
  const time = (seconds) => {
    const [minutes, rest] = [Math.floor(seconds / 60), (seconds % 60).toFixed(2)];
    return String(minutes).padStart(2, '0') + ':' + rest.padStart(5, '0');
  };
  return time(start) + '  ' + time(end) + '  ' + word;
}

let controller;
byId('cancel').addEventListener('click', () => controller.abort());
byId('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const output = byId('text');
  const progress = byId('progress');
  const format = byId('format').value;
  const began = performance.now();
  let stage = 'sending';
  const tick = () => {
    byId('stage').textContent = stage + ', ' + ((performance.now() - began) / 1000).toFixed(0) + ' s';
  };
  controller = new AbortController();
  output.textContent = '';
  output.removeAttribute('data-failed');
  byId('send').disabled = true;
  byId('cancel').hidden = progress.hidden = false;
  const clock = setInterval(tick, 500);
  tick();
  try {
    const request = await send(
      '/v1/audio/' + byId('task').value,
      formFor(format),
      (sent) => {
        if (sent < 1) progress.value = sent;
        else progress.removeAttribute('value');
        stage = sent < 1 ? 'sending' : 'transcribing';
        tick();
      },
      ({ responseText, status }) => {
        if (format === 'text' && status === 200 && responseText.startsWith('data:')) output.textContent = textOf(responseText);
      },
      controller.signal,
    );
    output.textContent = shown(request, format).trim();
    stage = 'done';
  } catch (error) {
    output.dataset.failed = '';
    output.textContent = error.message;
    stage = 'failed';
  } finally {
    clearInterval(clock);
    tick();
    byId('send').disabled = false;
    byId('cancel').hidden = progress.hidden = true;
    output.dataset.done = String(Number(output.dataset.done || 0) + 1);
    refresh();
  }
});
`;
