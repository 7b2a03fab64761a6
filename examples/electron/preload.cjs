const { contextBridge, ipcRenderer } = require('electron');

contextBridge.exposeInMainWorld('speech', {
  /** @param {ArrayBuffer} bytes a recording */
  transcribe: (bytes) => ipcRenderer.invoke('transcribe', bytes),
  /** @param {(state: object) => void} listener */
  onState: (listener) => ipcRenderer.on('speech-state', (_event, state) => listener(state)),
});
