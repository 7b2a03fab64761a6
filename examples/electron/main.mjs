/**
 * Electron's main process. electron-builder copies the binary of the target into the app:
 * `"extraResources": [{ "from": "vendor/asrpro-TRIPLE", "to": "asrpro" }]` (with `.exe` on both sides on Windows).
 */
import path from 'node:path';
import { launch } from 'asrpro/client';
import { app, BrowserWindow, ipcMain } from 'electron';

const file = process.platform === 'win32' ? 'asrpro.exe' : 'asrpro';
/** While developing, the program of the npm package. */
const binary = app.isPackaged ? path.join(process.resourcesPath, file) : undefined;
const mock = process.env.APP_TEST === '1';
const model = mock ? 'mock-echo' : 'whisper-base';

let sidecar;

await app.whenReady();
const window = new BrowserWindow({ webPreferences: { preload: path.join(import.meta.dirname, 'preload.cjs') } });
const tell = (state) => window.isDestroyed() || window.webContents.send('speech-state', state);
ipcMain.handle('transcribe', async (_event, bytes) => (await sidecar.transcribe(new Blob([bytes]))).text);
await window.loadFile(path.join(import.meta.dirname, 'index.html'));
await startSpeech().catch((error) => tell({ failed: error.message, hint: error.hint }));

/** The window shows what happens; installing is needed once. */
async function startSpeech() {
  const home = path.join(app.getPath('userData'), 'asrpro');
  sidecar = await launch({ binary, mock, home, onExit: ({ message }) => tell({ failed: message }) });
  for await (const { step } of sidecar.installEngine('core')) tell({ installing: step });
  for await (const { bytes_done, bytes_total } of sidecar.download(model)) {
    tell({ downloading: bytes_total ? bytes_done / bytes_total : 0 });
  }
  await sidecar.load(model);
  tell({ ready: true });
}

/** Lets a running transcription finish. An app that is killed needs nothing: the sidecar sees it and ends. */
app.on('before-quit', (event) => {
  if (sidecar === undefined) return;
  event.preventDefault();
  const running = sidecar;
  sidecar = undefined;
  running.stop({ seconds: 5 }).finally(() => app.quit());
});
