"""NeMo's own boosting tree for the keywords of a request, and its output layer for the letters of its languages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from nemo.collections.asr.parts.context_biasing.biasing_multi_model import BiasingRequestItemConfig
from nemo.collections.asr.parts.context_biasing.boosting_graph_batched import BoostingTreeModelConfig
from nemo.collections.asr.parts.utils.rnnt_utils import Hypothesis
from nemo.collections.common.tokenizers import AggregateTokenizer
from omegaconf import open_dict

from asrpro_worker.engines.phrases import FIRST, LATER, spellings
from asrpro_worker.engines.scripts import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Added to the score of a token that must not be chosen: log-probabilities of models are far above it.
_NEVER = -1e4


class _Begun(Hypothesis):  # type: ignore[misc]
    """A hypothesis without text and with keywords."""

    def merge_(self, other: Hypothesis) -> Hypothesis:
        """Become what was heard. NeMo's own way keeps everything of it but the durations of tokens."""
        self.__dict__.update({**other.__dict__, "biasing_cfg": self.biasing_cfg})
        return self


class Boosting:
    """What a loaded model does for keywords. It must have been prepared with `prepare`."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._tokenizer: Any = getattr(model, "tokenizer", None)
        self._streams = hasattr(model, "joint")
        self._trees: dict[tuple[str, ...], BiasingRequestItemConfig] = {}
        decoder = getattr(model.decoding, "decoding", None)
        able = hasattr(decoder, "decoding_computer") if self._streams else hasattr(decoder, "fusion_models")
        self.able = able and self._tokenizer is not None and not isinstance(self._tokenizer, AggregateTokenizer)
        self._barred: dict[tuple[str, ...], list[int]] = {}

    def key(self, languages: tuple[str, ...], words: Sequence[str]) -> tuple[Any, ...]:
        """Pieces with equal keys may go into one call."""
        each = self._streams and not self._bars(languages)
        return (languages, None if each else tuple(words))

    def hypotheses(self, wishes: Sequence[Sequence[str]]) -> list[Any] | None:
        """What a transducer begins with, for the keywords of each piece."""
        forms = [self._forms(words) for words in wishes]
        if not self._streams or not any(forms):
            return None
        for old in self._trees.keys() - set(forms):
            self._trees.pop(old).remove_from_cache()
        return [_Begun([], 0.0, biasing_cfg=self._tree(phrases)) if phrases else None for phrases in forms]

    @contextmanager
    def whole_call(self, words: Sequence[str]) -> Iterator[None]:
        """A CTC model hears these keywords in every piece of the calls within."""
        phrases = self._forms(words)
        if self._streams or not phrases:
            yield
            return
        # NeMo makes the decoder of a CTC model anew in each call of `transcribe`, from this configuration.
        self._configure(_settings(phrases), 1.0)
        try:
            yield
        finally:
            self._configure({}, 0.0)

    def _configure(self, tree: dict[str, Any], alpha: float) -> None:
        greedy = self._model.cfg.decoding.greedy
        with open_dict(greedy):
            greedy.boosting_tree, greedy.boosting_tree_alpha = tree, alpha

    @contextmanager
    def held(self, languages: tuple[str, ...], words: Sequence[str]) -> Iterator[None]:
        """Only letters of `languages` are chosen within, and those of keywords."""
        wanted = {token for phrase in self._forms(words) for token in self._tokenizer.text_to_ids(phrase)}
        barred = [token for token in self._bars(languages) if token not in wanted]
        layer = self._model.joint.joint_net[-1] if self._streams else self._model.decoder.decoder_layers[0]
        if not barred or layer.bias is None:
            yield
            return
        before = layer.bias.data
        tokens = torch.tensor(barred, device=before.device)
        layer.bias.data = before.index_fill(0, tokens, _NEVER)
        try:
            yield
        finally:
            layer.bias.data = before

    def _tree(self, phrases: tuple[str, ...]) -> BiasingRequestItemConfig:
        if phrases not in self._trees:
            tree = BoostingTreeModelConfig(**_settings(phrases))
            self._trees[phrases] = BiasingRequestItemConfig(boosting_model_cfg=tree, cache_key="\n".join(phrases))
        return self._trees[phrases]

    def _forms(self, words: Sequence[str]) -> tuple[str, ...]:
        """Without those that the tokenizer cannot write: NeMo would prefer its token for that."""
        if not self.able or not words:
            return ()
        unknown = getattr(self._tokenizer, "unk_id", None)
        written = [(form, self._tokenizer.text_to_ids(form)) for form in spellings(words)]
        return tuple(form for form, tokens in written if tokens and unknown not in tokens)

    def _bars(self, languages: tuple[str, ...]) -> list[int]:
        if languages not in self._barred:
            self._barred = {languages: foreign(self._tokens(), languages)}
        return self._barred[languages]

    def _tokens(self) -> Iterator[tuple[int, str]]:
        pieces = self._tokenizer
        texts = (
            pieces.ids_to_tokens(list(range(pieces.vocab_size)))
            if pieces is not None
            else (self._model.joint if self._streams else self._model.decoder).vocabulary
        )
        return enumerate(texts)


def _settings(phrases: Sequence[str]) -> dict[str, Any]:
    return {
        "key_phrases_list": list(phrases),
        "context_score": FIRST,
        "depth_scaling": LATER / FIRST,
        "use_triton": False,
    }


def prepare(model: Any) -> None:
    """Have it take keywords, without CUDA graphs: they break `torch.load` for the process and crash on some GPUs."""
    decoding = model.cfg.get("decoding", {})
    greedy = decoding.get("greedy")
    if greedy is None or str(decoding.get("strategy")).startswith("beam"):
        return
    with open_dict(decoding):
        decoding.strategy = "greedy_batch"
        if hasattr(model, "joint"):
            greedy.use_cuda_graph_decoder = False
            greedy.loop_labels = True
            greedy.enable_per_stream_biasing = getattr(model, "tokenizer", None) is not None
        else:
            greedy.allow_cuda_graphs = False
    model.change_decoding_strategy(decoding, verbose=False)
