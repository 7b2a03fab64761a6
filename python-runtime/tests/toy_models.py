"""Makes Whisper models of random weights within a second. Their text is nonsense, but the same every time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from asrpro_worker.engines.whisper.tiny import special_tokens, write_tiny_whisper

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = ["en", "de", "fr"]


def make_whisper(directory: Path, *, multilingual: bool = True, mels: int = 80) -> Path:
    """A Whisper directory in CTranslate2 format with a byte-level tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    languages = LANGUAGES if multilingual else ["en"]
    # CTranslate2 treats a model whose vocabulary has the empty token as multilingual.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) + ([""] if multilingual else [])
    special = special_tokens(languages)
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    named = special[: special.index("<|0.00|>")]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in named])
    tokenizer.save(str(directory / "tokenizer.json"))
    write_tiny_whisper(directory, alphabet + special, languages, mels)
    settings = {"feature_size": mels, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    return directory
