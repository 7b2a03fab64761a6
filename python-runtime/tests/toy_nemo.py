"""Makes `.nemo` files of random weights, with 8-fold subsampling and frames of 0.08 s like the real models.

`python toy_nemo.py DIRECTORY KIND...` makes one model of each kind in the directory.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from nemo.collections.asr import models
from omegaconf import DictConfig

KINDS = ("ctc", "rnnt", "tdt", "ctc_bpe", "rnnt_bpe", "tdt_bpe")

_MODULES = "nemo.collections.asr.modules."
# A character TDT uses the last symbols for its durations, one each.
_SYMBOLS = [" ", *"abcdefghijklmnopqrstuvwxyz", "'", *(f"<p{index}>" for index in range(4))]
# Without 0: with random weights, the decoder could stay on a frame forever or lose the times.
_DURATIONS = [1, 2, 3, 4]
_DIM = 32
_MELS = 80
_WORDS = "the cat sat on a mat and the dog ran home while we all sang very old songs about rain . ? ! , it's me"


def make_nemo(file: Path, kind: str, durations: list[int] | None = None) -> Path:
    """A checkpoint of one of KINDS with the same weights every time."""
    torch.manual_seed(0)
    family, _, tokens = kind.partition("_")
    name = {"ctc": "EncDecCTCModel", "rnnt": "EncDecRNNTModel", "tdt": "EncDecRNNTModel"}[family]
    with tempfile.TemporaryDirectory() as directory:
        config = _config(family, durations or _DURATIONS)
        if tokens == "bpe":
            name = "EncDecCTCModelBPE" if family == "ctc" else "EncDecRNNTBPEModel"
            config["tokenizer"] = {"dir": _train_tokenizer(Path(directory)), "type": "bpe"}
            config.pop("labels", None)
            if family == "ctc":
                config["decoder"] |= {"vocabulary": [], "num_classes": -1}
        getattr(models, name)(cfg=DictConfig(config)).eval().save_to(str(file.absolute()))
    return file


def _config(family: str, durations: list[int]) -> dict[str, Any]:
    preprocessor = {
        "_target_": f"{_MODULES}AudioToMelSpectrogramPreprocessor",
        "sample_rate": 16000,
        "features": _MELS,
        "window_size": 0.025,
        "window_stride": 0.01,
        "normalize": "per_feature",
        "dither": 0.0,
        "pad_to": 0,
    }
    encoder = {
        "_target_": f"{_MODULES}ConformerEncoder",
        "feat_in": _MELS,
        "feat_out": -1,
        "n_layers": 1,
        "d_model": _DIM,
        "n_heads": 2,
        "ff_expansion_factor": 2,
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": 16,
        "causal_downsampling": False,
        "self_attention_model": "rel_pos",
        "att_context_size": [-1, -1],
        "conv_kernel_size": 5,
        "xscaling": False,
        "untie_biases": True,
        "pos_emb_max_len": 512,
        "dropout": 0.0,
        "dropout_pre_encoder": 0.0,
        "dropout_emb": 0.0,
        "dropout_att": 0.0,
    }
    config: dict[str, Any] = {"sample_rate": 16000, "preprocessor": preprocessor, "encoder": encoder}
    if family == "ctc":
        decoder = {"feat_in": _DIM, "num_classes": len(_SYMBOLS), "vocabulary": _SYMBOLS}
        return {**config, "decoder": {"_target_": f"{_MODULES}ConvASRDecoder", **decoder}}
    transducer: dict[str, Any] = {
        "labels": _SYMBOLS,
        "model_defaults": {"enc_hidden": _DIM, "pred_hidden": 32},
        "decoder": {
            "_target_": f"{_MODULES}RNNTDecoder",
            "normalization_mode": None,
            "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {"pred_hidden": 32, "pred_rnn_layers": 1, "dropout": 0.0},
        },
        "joint": {
            "_target_": f"{_MODULES}RNNTJoint",
            "log_softmax": None,
            "fuse_loss_wer": False,
            "jointnet": {"joint_hidden": 32, "activation": "relu", "dropout": 0.0},
        },
        "decoding": {"strategy": "greedy_batch", "greedy": {"max_symbols": 3}},
        "loss": {"loss_name": "default"},
    }
    if family == "tdt":
        transducer["joint"]["num_extra_outputs"] = len(durations)
        transducer["decoding"] |= {"model_type": "tdt", "durations": durations}
        settings = {"durations": durations, "sigma": 0.02, "fastemit_lambda": 0.0}
        transducer["loss"] = {"loss_name": "tdt", "tdt_kwargs": settings}
    return {**config, **transducer}


def _train_tokenizer(directory: Path) -> str:
    words = _WORDS.split(" ")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(words[at:] + words[:at]) for at in range(len(words))]),
        model_prefix=str(directory / "tokenizer"),
        model_type="bpe",
        vocab_size=64,
        bos_id=-1,
        eos_id=-1,
        unk_id=0,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    pieces = sentencepiece.SentencePieceProcessor(str(directory / "tokenizer.model"))
    listed = "".join(f"{pieces.id_to_piece(index)}\n" for index in range(pieces.get_piece_size()))
    (directory / "vocab.txt").write_text(listed, encoding="utf-8")
    return str(directory)


if __name__ == "__main__":
    for each in sys.argv[2:]:
        make_nemo(Path(sys.argv[1]) / f"{each}.nemo", each)
