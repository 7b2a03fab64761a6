import { createHash } from 'node:crypto';
import { calls } from './calls.ts';
import { models } from './models.ts';
import { speech } from './speech.ts';
import { style } from './style.ts';

const script = `${speech}${models}${calls}`;

/** The /docs page: transcribe a file, manage models, look up calls. One document that loads nothing from outside. */
export const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>asrpro</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<h1>asrpro <small id="version"></small></h1>
<p id="state" role="status"></p>
<button type="button" id="unload" hidden>Unload</button>
</header>
<form id="access" hidden>
<label>API key <input type="password" id="key" autocomplete="off" required></label>
<button>Use key</button>
<p id="refused" role="alert"></p>
</form>
<main>
<section>
<h2>Speech to text</h2>
<form id="form">
<label class="drop">Audio file <input type="file" id="file" required></label>
<fieldset>
<label>Model <select id="model"><option value="">selected or default</option></select></label>
<label>Task <select id="task"><option value="transcriptions">transcribe</option><option value="translations">translate into English</option></select></label>
<label>Answer <select id="format"><option value="text">text, streamed</option><option value="words">words with their times</option><option value="json">json</option><option value="verbose_json">verbose_json</option></select></label>
<label>Language <input id="language" size="5" placeholder="auto"></label>
</fieldset>
<div class="run">
<button id="send">Transcribe</button>
<button type="button" id="cancel" hidden>Cancel</button>
<progress id="progress" hidden></progress>
<span id="stage" role="status"></span>
</div>
<output id="text"></output>
</form>
</section>
<section>
<h2>Models</h2>
<div class="scroll"><table>
<thead><tr><th>Model</th><th>Languages</th><th>Size</th><th>State</th><th></th></tr></thead>
<tbody id="models"></tbody>
</table></div>
</section>
<section>
<h2>Calls</h2>
<p><a href="/openapi.json">/openapi.json</a> is the same list for programs.</p>
<div id="calls"></div>
</section>
</main>
<script>${script}</script>
</body>
</html>
`;

/** Content security policy: the page may only run its own script and call this server. */
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
