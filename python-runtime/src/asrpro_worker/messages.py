"""All messages between gateway and worker. src/wire/messages.ts declares the same messages and describes them.

Messages are msgpack maps with a `type`, keys in snake_case, times in seconds and sizes in bytes. Unknown keys are
ignored; any other error raises ValueError with the name of the key. The tests of both sides read the golden files in
test/wire/golden.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.msgpack import Decoder

PROTOCOL = 1

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class Curve(Struct, frozen=True):
    server_public: str
    client_public: str
    client_secret: str


class Bootstrap(Struct, frozen=True):
    """The line of JSON on stdin that configures a worker."""

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
    """The model to load. `path`: a directory or a `.nemo` file; `quantization`: the file suffix of ONNX exports."""

    id: str
    path: str
    quantization: str | None
    languages: list[str] | None


class Replicas(Struct, frozen=True):
    """The range in which Ray chooses the number of replicas."""

    min: Count
    max: Count


class OnCluster(Struct, frozen=True):
    """Settings of the engine `ray`: head address, number of replicas (None: one per slot), their engine, model id."""

    address: str
    replicas: Positive | Replicas | None
    engine: str
    model: str


class Load(Struct, frozen=True, tag="load", omit_defaults=True):
    """`threads` 0: one per physical core. `concurrency` 0: chosen by the worker. `cluster`: for the engine `ray`."""

    request: str
    model: Model
    device: str
    compute_type: str
    threads: Count
    concurrency: Count
    cluster: OnCluster | None = None


class Transcribe(Struct, frozen=True, tag="transcribe", omit_defaults=True):
    """One audio file. `temperature` None: the engine's own fallback temperatures.

    `languages`: candidates if `language` is None; None allows every language. Without `segment_timestamps` and
    `word_timestamps` the engine need not compute times.
    """

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
    languages: list[str] | None = None

    @property
    def wants_times(self) -> bool:
        """True if the request reads times of words or segments."""
        return self.word_timestamps or self.segment_timestamps


class Cancel(Struct, frozen=True, tag="cancel"):
    job: str


class Unload(Struct, frozen=True, tag="unload"):
    request: str


class Probe(Struct, frozen=True, tag="probe"):
    request: str
    devices: list[str]


GatewayMessage = Load | Transcribe | Cancel | Unload | Probe

# worker -> gateway


class Word(Struct, frozen=True):
    word: str
    start: float
    end: float
    probability: float | None


class TokenLogprob(Struct, frozen=True):
    """One token of the text. `bytes` is its UTF-8, which may be an incomplete character."""

    token: str
    logprob: float
    bytes: list[int]


class Segment(Struct, frozen=True, kw_only=True):
    """A stretch of speech; `start` and `end` in seconds. `text` keeps its leading space, so segments can be joined.

    `id` counts from 0 without gaps. `seek` is the start of the decoded window in frames of 10 ms. Values that an engine
    cannot compute are 0 or [].
    """

    id: int = 0
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float
    no_speech_prob: float = 0.0
    words: list[Word] | None = None
    logprobs: list[TokenLogprob] | None = None


class Capabilities(Struct, frozen=True):
    """Features of the engine with the loaded model. `neutral` lists the segment keys that are always 0 or []."""

    tasks: list[Literal["transcribe", "translate"]]
    word_timestamps: bool
    logprobs: bool
    prompt: bool
    temperature: bool
    hotwords: bool
    detects_language: bool
    neutral: list[str]


class Hello(Struct, frozen=True, tag="hello"):
    protocol: int
    token: str
    pid: int
    engine: str
    versions: dict[str, str]


class Loading(Struct, frozen=True, tag="loading"):
    request: str
    phase: Literal["import", "weights", "warm-up"]


class Loaded(Struct, frozen=True, tag="loaded"):
    """The model has run a first inference. Device, compute type and threads are the ones in use."""

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
    job: str
    duration: float | None


class Progress(Struct, frozen=True, tag="progress"):
    job: str
    position: float


class SegmentReady(Struct, frozen=True, tag="segment"):
    job: str
    segment: Segment


class Result(Struct, frozen=True, tag="result"):
    job: str
    language: str | None
    language_probability: float | None
    duration: float
    skipped_packets: int
    timings: dict[str, float]


class Failure(Struct, frozen=True, tag="error"):
    subject: str
    code: str
    message: str
    param: str | None


class Cancelled(Struct, frozen=True, tag="cancelled"):
    job: str


class Unloaded(Struct, frozen=True, tag="unloaded"):
    request: str
    memory_before: int
    memory_after: int


class ProbedDevice(Struct, frozen=True):
    id: str
    usable: bool
    compute_types: list[str]
    reason: str | None


class Devices(Struct, frozen=True, tag="devices"):
    request: str
    devices: list[ProbedDevice]


class ClusterNode(Struct, frozen=True):
    """A machine of the cluster. `slots`: how many replicas fit; `models`: the models of the running replicas."""

    id: str
    name: str
    alive: bool
    cpus: float
    gpus: float
    memory_bytes: int
    slots: int
    replicas: int
    models: list[str]


class Cluster(Struct, frozen=True, tag="cluster"):
    """The state of the cluster, sent once connected and after every change. `reason`: why it is unreachable."""

    reachable: bool
    reason: str | None
    nodes: list[ClusterNode]


WorkerMessage = (
    Hello
    | Loading
    | Loaded
    | Started
    | Progress
    | SegmentReady
    | Result
    | Failure
    | Cancelled
    | Unloaded
    | Devices
    | Cluster
)

decode_gateway = Decoder(GatewayMessage).decode
