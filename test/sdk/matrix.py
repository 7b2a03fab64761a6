"""What a Python program sees through the official package: `BASE_URL FILE` against the mock, with the key `k`.

Prints the package's version. Fails with an AssertionError.
"""

import asyncio
import sys
from pathlib import Path

import openai
from openai import AsyncOpenAI, OpenAI

base_url, file = sys.argv[1:]
audio = Path(file)
client = OpenAI(base_url=base_url, api_key="k")
transcriptions = client.audio.transcriptions
MODEL = "mock-echo"


def fails(kind: type[Exception], status: int, code: str | None, **wish: object) -> openai.APIStatusError:
    try:
        transcriptions.create(**{"file": audio, "model": MODEL, **wish})
    except openai.APIStatusError as error:
        assert isinstance(error, kind), error
        assert error.status_code == status, error
        assert error.code == code, error
        assert error.request_id, error
        return error
    raise AssertionError(f"no error: {wish}")


def formats() -> None:
    plain = transcriptions.create(file=audio, model=MODEL)
    assert "mock transcript" in plain.text
    text = transcriptions.create(file=audio, model=MODEL, response_format="text")
    assert text == plain.text + "\n", text
    verbose = transcriptions.create(
        file=audio, model=MODEL, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert verbose.language == "english"
    assert isinstance(verbose.duration, float | int)
    assert isinstance(verbose.segments[0].avg_logprob, float)
    assert verbose.words[0].word == "This"
    words = transcriptions.create(
        file=audio.read_bytes(), model=MODEL, response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert words.segments is None
    logprobs = transcriptions.create(file=audio, model=MODEL, include=["logprobs"])
    assert "".join(one.token for one in logprobs.logprobs).strip() == logprobs.text
    assert "translate" in client.audio.translations.create(file=audio, model=MODEL).text
    raw = transcriptions.with_raw_response.create(file=audio, model=MODEL)
    assert raw.headers["x-request-id"]


def streams() -> None:
    events = list(transcriptions.create(file=audio, model=MODEL, stream=True))
    assert [event.type for event in events[-2:]] == ["transcript.text.delta", "transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    try:
        list(transcriptions.create(file=audio, model="mock-crash-in-job", stream=True))
    except openai.APIError as error:
        assert error.code == "worker_crashed", error
    else:
        raise AssertionError("no error in the stream")


def errors() -> None:
    fails(openai.NotFoundError, 404, "model_not_found", model="none")
    for subtitles in ("srt", "vtt"):
        fails(openai.BadRequestError, 400, "unsupported_value", response_format=subtitles)
    fails(openai.APIStatusError, 413, "file_too_large", file=bytes(30_000_000))
    fails(openai.InternalServerError, 500, "model_broken", model="mock-broken")
    stranger = OpenAI(base_url=base_url, api_key="wrong")
    try:
        stranger.models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key"
    else:
        raise AssertionError("a wrong key was taken")


def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).owned_by == "asrpro"
    assert client.models.delete("mock-slow").deleted is True
    try:
        client.models.retrieve("Systran/none")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    else:
        raise AssertionError("an unknown model was found")


async def asynchronously() -> None:
    async with AsyncOpenAI(base_url=base_url, api_key="k") as several:
        answers = await asyncio.gather(
            *(several.audio.transcriptions.create(file=audio, model=MODEL, prompt=f"n{n}") for n in range(4))
        )
        for n, answer in enumerate(answers):
            assert f"The prompt is n{n}." in answer.text
        deltas = []
        async for event in await several.audio.transcriptions.create(file=audio, model=MODEL, stream=True):
            deltas.append(event)
        assert len(deltas) > 1


formats()
streams()
errors()
models()
asyncio.run(asynchronously())
print(openai.__version__)
