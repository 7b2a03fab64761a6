"""Keywords change a text only where it resembles them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import hear, job
from sounds import AUDIO, manifest

from asrpro_worker.audio import decode
from asrpro_worker.engines.whisper.keywords import adds_keywords
from asrpro_worker.pcm import Pcm

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.engines.whisper.engine import Whisper

NAMES = manifest("names")
# Keywords that are not spoken.
UNRELATED = [
    f"{name} {kind}" for name in ("Borvane", "Quistel", "Dramodin") for kind in ("GmbH", "Valley", "Pro", "Street")
]


@pytest.mark.parametrize(
    ("text", "gain", "better"),
    [
        ("I met Siobhan there.", 0.1, True),
        ("I met SIOBHAN there.", -0.2, True),
        ("I met Siobhan there.", -0.5, False),
        ("I met her there.", 0.5, False),
        ("I met Siobhan, Quispe, Papadopoulos there.", 0.5, False),
        ("I met Quispe there.", 0.5, False),
    ],
)
def test_the_text_with_keywords_is_used_if_they_resemble_the_text_without(
    text: str, gain: float, *, better: bool
) -> None:
    keywords = ["Siobhan", "Quispe", "Papadopoulos"]
    assert adds_keywords(text, "I met Shavon there.", keywords, gain) == better


def test_keywords_correct_names_and_unrelated_keywords_change_nothing(tiny_whisper: Whisper, tmp_path: Path) -> None:
    def text(row: dict[str, str], keywords: list[str]) -> str:
        fields: dict[str, Any] = {"hotwords": keywords, "segment_timestamps": False}
        with decode(str(AUDIO / "names" / row["file"]), lambda _: None) as sound, Pcm(tmp_path) as pcm:
            pcm.append((sound.read(0, sound.samples) * 32767).astype(np.int16))
            _, segments = hear(tiny_whisper, pcm, job(**fields))
        return "".join(segment.text for segment in segments)

    known, plain = 0, 0
    for row in NAMES[6:12]:
        without = text(row, [])
        names = row["names"].split(",")
        hinted = text(row, names)
        known += sum(name in hinted for name in names)
        plain += sum(name in without for name in names)
        assert text(row, UNRELATED) == without
    assert known >= plain + 4, (known, plain)
