"""Starts asrpro and transcribes a file with the standard library only: python app.py BINARY speech.wav [--mock]."""

import json
import pathlib
import subprocess
import sys
import urllib.request
import uuid


def start(binary: str, *flags: str) -> tuple[subprocess.Popen, dict]:
    """Return the process and its ready line. asrpro ends with this process, which holds its stdin."""
    command = [binary, "serve", "--port", "0", "--watch-stdin", *flags]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    first = json.loads(process.stdout.readline())
    if first["event"] != "ready":
        sys.exit(f"asrpro cannot start: {first['message']} {first['hint'] or ''}")
    return process, first


def transcribe(url: str, file: pathlib.Path) -> str:
    """Return the text of a recording, from the loaded model or the default one."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    body = head.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(f"{url}/v1/audio/transcriptions", body, method="POST")
    request.add_header("Content-Type", f"multipart/form-data; boundary={boundary}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["text"]


if __name__ == "__main__":
    binary, audio, *flags = sys.argv[1:]
    process, ready = start(binary, *flags)
    print(transcribe(ready["url"], pathlib.Path(audio)))
    process.stdin.close()
    sys.exit(process.wait())
