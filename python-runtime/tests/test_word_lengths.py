"""No word is empty, even where the alignment puts several words into one frame."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from in_process import job
from real_whisper import WHISPER

from asrpro_worker.engines.whisper.alignment import spoken_words
from asrpro_worker.engines.whisper.backend import Aligned
from asrpro_worker.engines.whisper.tokens import Tokens
from asrpro_worker.pcm import RATE
from asrpro_worker.piece import Piece

TEXT = " And so, my fellow Americans, ask not"


@pytest.mark.parametrize("first", [0, 20, 99])
def test_words_of_the_same_frame_follow_each_other(first: int) -> None:
    tokens = Tokens(WHISPER / "tokenizer.json", multilingual=False)
    ids = tokens.encode(TEXT)
    piece = Piece(job(), ((RATE, 3 * RATE),), np.zeros(2 * RATE, np.float32), "en")
    aligned = Aligned([0, *[first] * (len(ids) - 1), 100], [0.9] * len(ids))
    words = [spoken.word for spoken in spoken_words(tokens, ids, aligned, "en", piece)]
    assert [word.word for word in words] == TEXT.split()
    assert all(word.end - word.start > 0.019 for word in words)
    assert all(before.end <= after.start + 1e-9 for before, after in itertools.pairwise(words))
    assert words[0].start >= 1.0
    assert words[-1].end <= 3.0
