/**
 * Electron's main process. electron-builder copies the binary of the target into the app:
 * `"extraResources": [{ "from": "vendor/asrpro-TRIPLE", "to": "asrpro" }]` (with `.exe` on both sides on Windows).
 */
import path from 'node:path';
import { launch } from 'asrpro/client';
import { app, BrowserWindow, ipcMain } from 'electron';

const file = process.platform === 'win32' ? 'asrpro.exe' : 'asrpro';
/** During development, undefined: the program of the npm package. */
const binary = app.isPackaged ? path.join(process.resourcesPath, file) : undefined;
const mock = process.env.APP_TEST === '1';
const model = mock ? 'mock-echo' : 'whisper-base';

let sidecar;

await app.whenReady();
const window = new BrowserWindow({ webPreferences: { preload: path.join(import.meta.dirname, 'preload.cjs') } });
const show = (state) => window.isDestroyed() || window.webContents.send('speech-state', state);
ipcMain.handle('transcribe', async (_event, bytes) => (await sidecar.transcribe(new Blob([bytes]))).text);
await window.loadFile(path.join(import.meta.dirname, 'index.html'));
await startSpeech().catch((error) => show({ failed: error.message, hint: error.hint }));

/** Installs what is missing, which happens once, and shows the progress in the window. */
async function startSpeech() {
  const home = path.join(app.getPath('userData'), 'asrpro');
  sidecar = await launch({ binary, mock, home, onExit: ({ message }) => show({ failed: message }) });
  for await (const { step } of sidecar.installEngine('core')) show({ installing: step });
  for await (const { bytes_done, bytes_total } of sidecar.download(model)) {
    show({ downloading: bytes_total ? bytes_done / bytes_total : 0 });
  }
  await sidecar.load(model);
  show({ ready: true });
}

/** Lets a running transcription finish. If the app is killed, the sidecar notices and ends by itself. */
app.on('before-quit', (event) => {
  if (sidecar === undefined) return;
  event.preventDefault();
  const running = sidecar;
  sidecar = undefined;
  running.stop({ seconds: 5 }).finally(() => app.quit());
});
