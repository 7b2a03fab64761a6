"""The engine `parakeet-mlx` gives the tokens of NeMo with the weights of a toy model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from nemo.collections.asr import models
from omegaconf import OmegaConf
from toy_nemo import make_nemo

from asrpro_worker.engines.parakeet.files import check_directory
from asrpro_worker.engines.parakeet.tiny import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("mlx.core", reason="MLX runs on Macs, and on Linux for tests")

from asrpro_worker.engines.parakeet.model import Parakeet

SOUNDS = [np.random.default_rng(at).standard_normal(16_000 * at + 700).astype(np.float32) for at in (1, 2, 5)]


def export(model: Any, directory: Path) -> Path:
    """Write a model in the published MLX format: channels of convolutions last, and NeMo's configuration."""
    weights = {}
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for name, array in state.items():
        if name.startswith("preprocessor") or name.endswith("num_batches_tracked") or "bias_hh" in name:
            continue
        if "dec_rnn" in name:
            stem, _, last = name.rpartition(".")
            kind, way, layer = last.split("_")
            if kind == "bias":
                weights[f"{stem}.{layer[1:]}.bias"] = array + state[name.replace("_ih_", "_hh_")]
            else:
                weights[f"{stem}.{layer[1:]}.{'Wx' if way == 'ih' else 'Wh'}"] = array
        else:
            weights[name] = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
    directory.mkdir()
    write_safetensors(directory / "model.safetensors", weights)
    config = OmegaConf.to_container(model.cfg, resolve=True)
    assert isinstance(config, dict)
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory


@pytest.mark.parametrize("kind", ["tdt", "rnnt", "ctc", "tdt_bpe"])
def test_the_tokens_of_nemo(checkpoints: dict[str, Path], tmp_path: Path, kind: str) -> None:
    file = checkpoints[kind]
    if kind == "tdt_bpe":
        file = make_nemo(tmp_path / "toy.nemo", kind, durations=[0, 1, 2, 4])
    nemo = models.ASRModel.restore_from(str(file), map_location="cpu").eval()
    ours = Parakeet(check_directory(str(export(nemo, tmp_path / "mlx"))), "float32")
    found = ours.recognize(SOUNDS, [ours._choices.plain() for _ in SOUNDS])  # noqa: SLF001
    for sound, tokens in zip(SOUNDS, found, strict=True):
        # `transcribe` leaves parts of the model in training mode.
        nemo.eval()
        with torch.inference_mode():
            length = torch.tensor([len(sound)])
            features, frames = nemo.preprocessor(input_signal=torch.tensor(sound)[None], length=length)
            assert ours._features(sound) == pytest.approx(features[0, :, : int(frames)].T.numpy(), abs=1e-3)  # noqa: SLF001
            encoded, count = nemo.encoder(audio_signal=features, length=frames)
            our_encoded = np.array(ours._network.encode(ours._features(sound)))  # noqa: SLF001
            assert our_encoded == pytest.approx(encoded[0, :, : int(count)].T.numpy(), abs=1e-3)
            theirs = nemo.transcribe([sound], batch_size=1, return_hypotheses=True, verbose=False)[0]
        texts = [text for _, text in sorted(ours._directory.vocabulary.items())]  # noqa: SLF001
        expected = [texts[int(token)] for token in theirs.y_sequence] if kind != "ctc" else None
        if expected is None:
            assert "".join(token.text for token in tokens).strip() == theirs.text
        else:
            assert len(expected) > 3
            assert [token.text for token in tokens] == expected
            stamps = theirs.timestamp["timestep"] if isinstance(theirs.timestamp, dict) else theirs.timestamp
            assert [round(token.start / 0.08) for token in tokens] == [int(stamp) for stamp in stamps]
