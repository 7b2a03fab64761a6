"""config.json of converted Whisper models: settings that are missing or that the weights do not have."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from in_process import hear, job, load

from asrpro_worker.engines.whisper.engine import Whisper
from asrpro_worker.errors import WorkerError
from asrpro_worker.pcm import RATE

if TYPE_CHECKING:
    from pathlib import Path

    from asrpro_worker.pcm import Pcm


@pytest.fixture
def noise(pcm: Pcm) -> Pcm:
    pcm.append(np.random.default_rng(0).integers(-3000, 3000, 2 * RATE).astype(np.int16))
    return pcm


def change(model: Path, **settings: Any) -> Path:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **settings}))
    return model


NO_HEADS: list[Any] = [[[1, 0]], [[0, 2]], [[-1, 0]], [[]], [[0]], [0, 0], [["0", "1"]], "x"]
NO_TOKENS: list[Any] = [[99_999_999], [-5], [None], "x"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("alignment_heads", heads) for heads in NO_HEADS),
        *((key, ids) for key in ("suppress_ids", "suppress_ids_begin", "lang_ids") for ids in NO_TOKENS),
    ],
)
def test_settings_that_do_not_fit_the_weights(own_whisper: Path, key: str, value: Any) -> None:
    """CTranslate2 loads such a model, and crashes in the first request."""
    with pytest.raises(WorkerError, match=key) as error:
        load(Whisper(), change(own_whisper, **{key: value}))
    assert error.value.code == "model_broken"


@pytest.mark.parametrize("heads", [None, []])
def test_a_model_without_alignment_heads_gives_text_without_words(own_whisper: Path, noise: Pcm, heads: Any) -> None:
    engine = Whisper()
    facts = load(engine, change(own_whisper, alignment_heads=heads))
    assert not facts.capabilities.word_timestamps
    _, segments = hear(engine, noise, job())
    assert (segments[0].start, segments[-1].end) == (0.0, 2.0)
    assert all(before.end <= after.start for before, after in itertools.pairwise(segments))


def test_a_model_without_language_tokens_needs_a_language(own_whisper: Path, noise: Pcm) -> None:
    engine = Whisper()
    load(engine, change(own_whisper, lang_ids=None))
    with pytest.raises(WorkerError, match="Give the language") as error:
        hear(engine, noise, job())
    assert error.value.param == "language"
    assert hear(engine, noise, job(language="de"))[0].language == "de"
