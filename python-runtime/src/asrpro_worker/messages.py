"""Every message between gateway and worker, as src/wire/messages.ts declares them.

Msgpack maps with a `type`, keys in snake_case, times in seconds, sizes in bytes. Unknown keys are dropped; whatever
else is wrong raises ValueError with the key. The golden files in test/wire/golden are read by the tests of both sides.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.msgpack import Decoder

PROTOCOL = 1

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class Curve(Struct, frozen=True):
    """CURVE keys in Z85, given where the endpoint is TCP."""

    server_public: str
    client_public: str
    client_secret: str


class Bootstrap(Struct, frozen=True):
    """The line of JSON on stdin that starts a worker."""

    protocol: int
    endpoint: str
    token: str
    generation: int
    identity: str
    engine: str
    log_level: str
    parent_pid: int
    curve: Curve | None


# gateway -> worker


class Model(Struct, frozen=True):
    """What to load: a directory, or the file for `.nemo`. `quantization` is the file suffix of ONNX exports."""

    id: str
    path: str
    quantization: str | None
    languages: list[str] | None


class Load(Struct, frozen=True, tag="load"):
    """`threads` 0: one for each physical core. `concurrency` 0: what suits the machine."""

    request: str
    model: Model
    device: str
    compute_type: str
    threads: Count
    concurrency: Count


class Transcribe(Struct, frozen=True, tag="transcribe", omit_defaults=True):
    """One audio file. `temperature` None: the engine's own ladder. `segment_timestamps`: does anybody read them?"""

    job: str
    audio: str
    task: Literal["transcribe", "translate"]
    language: str | None
    prompt: str | None
    temperature: float | None
    beam_size: Positive | None
    hotwords: list[str]
    word_timestamps: bool
    logprobs: bool
    vad_filter: bool
    segment_timestamps: bool = True

    @property
    def wants_times(self) -> bool:
        """Of words or segments."""
        return self.word_timestamps or self.segment_timestamps


class Cancel(Struct, frozen=True, tag="cancel"):
    """End a job; answered by `cancelled`, or by its result if that was first."""

    job: str


class Unload(Struct, frozen=True, tag="unload"):
    """Finish nothing more: release the model, answer `unloaded`, exit with 0."""

    request: str


class Probe(Struct, frozen=True, tag="probe"):
    """Test devices with a real inference of the engine; no model need be loaded."""

    request: str
    devices: list[str]


GatewayMessage = Load | Transcribe | Cancel | Unload | Probe

# worker -> gateway


class Word(Struct, frozen=True):
    """A word without the space before it."""

    word: str
    start: float
    end: float
    probability: float | None


class TokenLogprob(Struct, frozen=True):
    """One token of the text; `bytes` is its UTF-8, which may be part of a character."""

    token: str
    logprob: float
    bytes: list[int]


class Segment(Struct, frozen=True):
    """A stretch of speech; `text` keeps the leading space that joins it to the one before.

    `id` counts from 0 without gaps; `seek` is the start of the decoded window in frames of 10 ms.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[Word] | None
    logprobs: list[TokenLogprob] | None


class Capabilities(Struct, frozen=True):
    """What the engine can honour with the loaded model; `neutral` lists the segment keys that hold 0 or []."""

    tasks: list[Literal["transcribe", "translate"]]
    word_timestamps: bool
    logprobs: bool
    prompt: bool
    temperature: bool
    hotwords: bool
    detects_language: bool
    neutral: list[str]


class Hello(Struct, frozen=True, tag="hello"):
    """The first message, sent before the engine is imported."""

    protocol: int
    token: str
    pid: int
    engine: str
    versions: dict[str, str]


class Loading(Struct, frozen=True, tag="loading"):
    """A phase of loading has begun."""

    request: str
    phase: Literal["import", "weights", "warm-up"]


class Loaded(Struct, frozen=True, tag="loaded"):
    """The model answered a first inference. Device, compute type and threads are those in force."""

    request: str
    device: str
    compute_type: str
    threads: int
    concurrency: int
    languages: list[str]
    capabilities: Capabilities
    memory_bytes: int
    seconds: float


class Started(Struct, frozen=True, tag="started"):
    """The audio was decoded; the engine begins."""

    job: str
    duration: float | None


class Progress(Struct, frozen=True, tag="progress"):
    """The job is alive and this far, in seconds of audio."""

    job: str
    position: float


class SegmentReady(Struct, frozen=True, tag="segment"):
    """The next segment, in order."""

    job: str
    segment: Segment


class Result(Struct, frozen=True, tag="result"):
    """The end of a job that went well. `timings` are seconds by stage."""

    job: str
    language: str | None
    language_probability: float | None
    duration: float
    skipped_packets: int
    timings: dict[str, float]


class Failure(Struct, frozen=True, tag="error"):
    """The end of a job or request that did not; `subject` is its id."""

    subject: str
    code: str
    message: str
    param: str | None


class Cancelled(Struct, frozen=True, tag="cancelled"):
    """The end of a job that was cancelled."""

    job: str


class Unloaded(Struct, frozen=True, tag="unloaded"):
    """The last message; the process exits after it."""

    request: str
    memory_before: int
    memory_after: int


class ProbedDevice(Struct, frozen=True):
    """Whether a real inference ran there; `reason` says why not."""

    id: str
    usable: bool
    compute_types: list[str]
    reason: str | None


class Devices(Struct, frozen=True, tag="devices"):
    """The answer to `probe`."""

    request: str
    devices: list[ProbedDevice]


WorkerMessage = (
    Hello | Loading | Loaded | Started | Progress | SegmentReady | Result | Failure | Cancelled | Unloaded | Devices
)

decode_gateway = Decoder(GatewayMessage).decode
