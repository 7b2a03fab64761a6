"""No speech is lost at the cuts of long audio: real speech with known words and times, joined to several pieces."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from in_process import transcribe
from sounds import AUDIO, manifest, write_wav

from asrpro_worker.audio import decode
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from asrpro_worker.engines.protocol import Engine
    from asrpro_worker.messages import Segment

# So short that not all pieces can be cut between the utterances.
GAP = np.zeros(round(0.2 * RATE), np.int16)
SECONDS = 52.0


@pytest.mark.parametrize("weights", ["tiny_onnx", "tiny_whisper"])
def test_joined_utterances_keep_their_words_and_times(
    request: pytest.FixtureRequest, tmp_path: Path, weights: str
) -> None:
    engine: Engine = request.getfixturevalue(weights)
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
    recognized = words(segments)
    # The word error rate of tiny.en on test-clean is 8 % anyway.
    assert errors(reference, recognized) <= 0.15 * len(reference), " ".join(recognized)
    # Lost speech would show as several missing words in a row.
    assert longest_gap(reference, recognized) <= 3, " ".join(recognized)
    for start, stop in spans:
        covered = sum(max(0.0, min(stop, segment.end) - max(start, segment.start)) for segment in segments)
        assert covered > 0.6 * (stop - start), "segments cover the speech without the pauses around it"


def changes(reference: list[str], recognized: list[str]) -> list[tuple[int, int]]:
    """The numbers of words on both sides of each difference."""
    found = difflib.SequenceMatcher(None, reference, recognized, autojunk=False).get_opcodes()
    return [(a_stop - a, b_stop - b) for kind, a, a_stop, b, b_stop in found if kind != "equal"]


def errors(reference: list[str], recognized: list[str]) -> int:
    return sum(max(change) for change in changes(reference, recognized))


def longest_gap(reference: list[str], recognized: list[str]) -> int:
    return max((missing - present for missing, present in changes(reference, recognized)), default=0)


def words(segments: list[Segment]) -> list[str]:
    text = "".join(segment.text for segment in segments).lower()
    return re.findall(r"[a-z']+", text)
