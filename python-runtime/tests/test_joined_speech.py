"""Nothing is lost where long audio is cut: real speech with known words and times, joined to more than one piece."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from in_process import load, transcribe
from sounds import AUDIO, manifest, write_wav
from whisper_onnx import make_whisper_onnx

from asrpro_worker.audio import decode
from asrpro_worker.engines.onnx.engine import OnnxAsr
from asrpro_worker.engines.whisper.engine import Whisper
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asrpro_worker.engines.protocol import Engine
    from asrpro_worker.messages import Segment

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
# Installed by `npm test` before the first test.
WHISPER = CACHE / "asrpro-test" / "models" / "whisper-tiny.en"
# Shorter than what Whisper takes for the end of a sentence: the pieces cannot all be cut between the utterances.
GAP = np.zeros(round(0.2 * RATE), np.int16)
SECONDS = 75.0


@pytest.fixture(scope="module", params=["onnx-asr", "faster-whisper"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Real weights in the form of each engine."""
    if request.param == "faster-whisper":
        made: Engine = Whisper()
        load(made, WHISPER)
        return made
    made = OnnxAsr()
    load(made, make_whisper_onnx(WHISPER, tmp_path_factory.mktemp("tiny.en")), quantization="quantized")
    return made


def test_joined_utterances_give_the_words_of_each_in_its_place(engine: Engine, tmp_path: Path) -> None:
    sounds: list[NDArray[np.int16]] = []
    spans: list[tuple[float, float]] = []
    reference: list[str] = []
    position = 0
    for row in manifest("librispeech"):
        file = AUDIO / "librispeech" / row["file"]
        if "test-clean" not in row["file"]:
            continue
        with decode(str(file), lambda _: None) as pcm:
            sounds += [(pcm.read(0, pcm.samples) * 32767).astype(np.int16), GAP]
        reference += row["reference"].lower().split()
        spans.append((position / RATE, (position + len(sounds[-2])) / RATE))
        position += len(sounds[-2]) + len(GAP)
        if position > SECONDS * RATE:
            break
    _, segments = transcribe(engine, write_wav(tmp_path / "joined", np.concatenate(sounds)), vad_filter=True)
    together = words(segments)
    # tiny.en is wrong in 8 % of the words of test-clean anyway.
    assert wrong(reference, together) <= 0.15 * len(reference), " ".join(together)
    # Lost speech would be words in a row.
    assert longest_gap(reference, together) <= 3, " ".join(together)
    for start, stop in spans:
        heard = sum(max(0.0, min(stop, segment.end) - max(start, segment.start)) for segment in segments)
        assert heard > 0.65 * (stop - start), "text stands where the speech is, but for the pauses around it"


def changes(reference: list[str], heard: list[str]) -> list[tuple[int, int]]:
    """Differing stretches, as the numbers of words on both sides."""
    found = difflib.SequenceMatcher(None, reference, heard, autojunk=False).get_opcodes()
    return [(a_stop - a, b_stop - b) for kind, a, a_stop, b, b_stop in found if kind != "equal"]


def wrong(reference: list[str], heard: list[str]) -> int:
    return sum(max(change) for change in changes(reference, heard))


def longest_gap(reference: list[str], heard: list[str]) -> int:
    return max((missing - said for missing, said in changes(reference, heard)), default=0)


def words(segments: list[Segment]) -> list[str]:
    text = "".join(segment.text for segment in segments).lower()
    return re.findall(r"[a-z']+", text)
