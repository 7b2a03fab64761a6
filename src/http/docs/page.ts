import { createHash } from 'node:crypto';
import { script } from './script.ts';
import { style } from './style.ts';

/** The page for people: send a file, read its text, look up a call. One document, nothing from outside. */
export const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>asrpro</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<h1>asrpro <small id="version"></small></h1>
<form id="form">
<label>Audio file <input type="file" name="file" id="file" required></label>
<fieldset>
<label>Model <select name="model" id="model"><option value="">loaded or default</option></select></label>
<label>Task <select id="task"><option>transcriptions</option><option>translations</option></select></label>
<label>Answer <select name="response_format" id="format"><option>text</option><option>json</option><option>verbose_json</option></select></label>
<label>Language <input name="language" id="language" size="4" placeholder="auto"></label>
</fieldset>
<button id="send">Transcribe</button>
<output id="text"></output>
</form>
<h2>Calls</h2>
<p>The machine-readable description is <a href="/openapi.json">/openapi.json</a>.</p>
<div id="calls"></div>
<script>${script}</script>
</body>
</html>
`;

/** What the page may load and run: itself, and this server. */
export const docsPolicy: string = [
  "default-src 'none'",
  `script-src '${hashOf(script)}'`,
  `style-src '${hashOf(style)}'`,
  "connect-src 'self'",
  'img-src data:',
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
