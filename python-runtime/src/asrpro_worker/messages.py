"""Every message between gateway and worker, as src/wire/messages.ts declares them.

Msgpack maps with a `type`, keys in snake_case, times in seconds, sizes in bytes. Unknown keys are dropped. The golden
files in test/wire/golden are read by the tests of both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

PROTOCOL = 1


@dataclass(frozen=True)
class Curve:
    """CURVE keys in Z85, given where the endpoint is TCP."""

    server_public: str
    client_public: str
    client_secret: str


@dataclass(frozen=True)
class Bootstrap:
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


@dataclass(frozen=True)
class Model:
    """What to load: a directory, or the file for `.nemo`. `quantization` is the file suffix of ONNX exports."""

    id: str
    path: str
    quantization: str | None
    languages: list[str] | None


@dataclass(frozen=True)
class Replicas:
    """Between how many Ray chooses by itself."""

    min: int
    max: int


@dataclass(frozen=True)
class OnCluster:
    """For the engine `ray`: the head, the engine of the replicas, the model's id, and how many (None: one a slot)."""

    address: str
    replicas: int | Replicas | None
    engine: str
    model: str


@dataclass(frozen=True)
class Load:
    """`threads` 0: one for each physical core. `concurrency` 0: what suits the machine. `cluster`: for `ray` only."""

    type: ClassVar[str] = "load"
    request: str
    model: Model
    device: str
    compute_type: str
    threads: int
    concurrency: int
    cluster: OnCluster | None = None


@dataclass(frozen=True)
class Transcribe:
    """One audio file. `temperature` None: the engine's own ladder. `segment_timestamps` None: they are wanted."""

    type: ClassVar[str] = "transcribe"
    job: str
    audio: str
    task: Literal["transcribe", "translate"]
    language: str | None
    prompt: str | None
    temperature: float | None
    beam_size: int | None
    hotwords: list[str]
    word_timestamps: bool
    logprobs: bool
    vad_filter: bool
    segment_timestamps: bool | None = None

    @property
    def wants_times(self) -> bool:
        """Of words or segments."""
        return self.word_timestamps or self.segment_timestamps is not False


@dataclass(frozen=True)
class Cancel:
    """End a job; answered by `cancelled`, or by its result if that was first."""

    type: ClassVar[str] = "cancel"
    job: str


@dataclass(frozen=True)
class Unload:
    """Finish nothing more: release the model, answer `unloaded`, exit with 0."""

    type: ClassVar[str] = "unload"
    request: str


@dataclass(frozen=True)
class Probe:
    """Test devices with a real inference of the engine; no model need be loaded."""

    type: ClassVar[str] = "probe"
    request: str
    devices: list[str]


GatewayMessage = Load | Transcribe | Cancel | Unload | Probe

# worker -> gateway


@dataclass(frozen=True)
class Word:
    """A word without the space before it."""

    word: str
    start: float
    end: float
    probability: float | None


@dataclass(frozen=True)
class TokenLogprob:
    """One token of the text; `bytes` is its UTF-8, which may be part of a character."""

    token: str
    logprob: float
    bytes: list[int]


@dataclass(frozen=True)
class Segment:
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


@dataclass(frozen=True)
class Capabilities:
    """What the engine can honour with the loaded model; `neutral` lists the segment keys that hold 0 or []."""

    tasks: list[Literal["transcribe", "translate"]]
    word_timestamps: bool
    logprobs: bool
    prompt: bool
    temperature: bool
    hotwords: bool
    detects_language: bool
    neutral: list[str]


@dataclass(frozen=True)
class Hello:
    """The first message, sent before the engine is imported."""

    type: ClassVar[str] = "hello"
    protocol: int
    token: str
    pid: int
    engine: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Loading:
    """A phase of loading has begun."""

    type: ClassVar[str] = "loading"
    request: str
    phase: Literal["import", "weights", "warm-up"]


@dataclass(frozen=True)
class Loaded:
    """The model answered a first inference. Device, compute type and threads are those in force."""

    type: ClassVar[str] = "loaded"
    request: str
    device: str
    compute_type: str
    threads: int
    concurrency: int
    languages: list[str]
    capabilities: Capabilities
    memory_bytes: int
    seconds: float


@dataclass(frozen=True)
class Started:
    """The audio was decoded; the engine begins."""

    type: ClassVar[str] = "started"
    job: str
    duration: float | None


@dataclass(frozen=True)
class Progress:
    """The job is alive and this far, in seconds of audio."""

    type: ClassVar[str] = "progress"
    job: str
    position: float


@dataclass(frozen=True)
class SegmentReady:
    """The next segment, in order."""

    type: ClassVar[str] = "segment"
    job: str
    segment: Segment


@dataclass(frozen=True)
class Result:
    """The end of a job that went well. `timings` are seconds by stage."""

    type: ClassVar[str] = "result"
    job: str
    language: str | None
    language_probability: float | None
    duration: float
    skipped_packets: int
    timings: dict[str, float]


@dataclass(frozen=True)
class Failure:
    """The end of a job or request that did not; `subject` is its id."""

    type: ClassVar[str] = "error"
    subject: str
    code: str
    message: str
    param: str | None


@dataclass(frozen=True)
class Cancelled:
    """The end of a job that was cancelled."""

    type: ClassVar[str] = "cancelled"
    job: str


@dataclass(frozen=True)
class Unloaded:
    """The last message; the process exits after it."""

    type: ClassVar[str] = "unloaded"
    request: str
    memory_before: int
    memory_after: int


@dataclass(frozen=True)
class ProbedDevice:
    """Whether a real inference ran there; `reason` says why not."""

    id: str
    usable: bool
    compute_types: list[str]
    reason: str | None


@dataclass(frozen=True)
class Devices:
    """The answer to `probe`."""

    type: ClassVar[str] = "devices"
    request: str
    devices: list[ProbedDevice]


@dataclass(frozen=True)
class ClusterNode:
    """A machine of the cluster: `slots` for replicas, and the `models` of those that run there."""

    id: str
    name: str
    alive: bool
    cpus: float
    gpus: float
    memory_bytes: int
    slots: int
    replicas: int
    models: list[str]


@dataclass(frozen=True)
class Cluster:
    """What the engine `ray` sees, when it is connected and whenever that changes. `reason`: why it is unreachable."""

    type: ClassVar[str] = "cluster"
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
