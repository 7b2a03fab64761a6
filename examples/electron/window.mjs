const text = document.querySelector('#text');

window.speech.onState((state) => {
  text.textContent = JSON.stringify(state);
});
document.querySelector('#file').addEventListener('change', async ({ target }) => {
  text.textContent = await window.speech.transcribe(await target.files[0].arrayBuffer());
});
