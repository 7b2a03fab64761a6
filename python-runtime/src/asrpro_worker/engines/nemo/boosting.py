"""Keywords with NeMo's boosting tree, and requested languages by means of the output layer's bias."""

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

# The bias of a token that must not be chosen; log-probabilities are far above it.
_FORBIDDEN = -1e4


class _EmptyHypothesis(Hypothesis):  # type: ignore[misc]
    """A hypothesis without text that carries keywords."""

    def merge_(self, other: Hypothesis) -> Hypothesis:
        """Take over the recognized hypothesis. NeMo's own method drops the durations of tokens."""
        self.__dict__.update({**other.__dict__, "biasing_cfg": self.biasing_cfg})
        return self


class Boosting:
    """Applies keywords and languages to a loaded model, which must have been prepared with `prepare`."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._tokenizer: Any = getattr(model, "tokenizer", None)
        self._is_transducer = hasattr(model, "joint")
        self._trees: dict[tuple[str, ...], BiasingRequestItemConfig] = {}
        decoder = getattr(model.decoding, "decoding", None)
        able = hasattr(decoder, "decoding_computer" if self._is_transducer else "fusion_models")
        self.supported = able and self._tokenizer is not None and not isinstance(self._tokenizer, AggregateTokenizer)
        self._forbidden: dict[tuple[str, ...], list[int]] = {}

    def key(self, languages: tuple[str, ...], keywords: Sequence[str]) -> tuple[Any, ...]:
        """Pieces with equal keys can be recognized in one call."""
        per_piece = self._is_transducer and not self._forbidden_tokens(languages)
        return (languages, None if per_piece else tuple(keywords))

    def hypotheses(self, keywords: Sequence[Sequence[str]]) -> list[Any] | None:
        """The initial hypotheses of a transducer, with the keywords of each piece; None without keywords."""
        forms = [self._forms(words) for words in keywords]
        if not self._is_transducer or not any(forms):
            return None
        for old in self._trees.keys() - set(forms):
            self._trees.pop(old).remove_from_cache()
        return [_EmptyHypothesis([], 0.0, biasing_cfg=self._tree(phrases)) if phrases else None for phrases in forms]

    @contextmanager
    def boosted(self, keywords: Sequence[str]) -> Iterator[None]:
        """Within the context, a CTC model prefers these keywords in all pieces."""
        phrases = self._forms(keywords)
        if self._is_transducer or not phrases:
            yield
            return
        # NeMo creates the decoder of a CTC model from this configuration in each call of `transcribe`.
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
    def restricted(self, languages: tuple[str, ...], keywords: Sequence[str]) -> Iterator[None]:
        """Within the context, the model chooses only letters of `languages` and of keywords."""
        allowed = {token for phrase in self._forms(keywords) for token in self._tokenizer.text_to_ids(phrase)}
        forbidden = [token for token in self._forbidden_tokens(languages) if token not in allowed]
        layer = self._model.joint.joint_net[-1] if self._is_transducer else self._model.decoder.decoder_layers[0]
        if not forbidden or layer.bias is None:
            yield
            return
        before = layer.bias.data
        tokens = torch.tensor(forbidden, device=before.device)
        layer.bias.data = before.index_fill(0, tokens, _FORBIDDEN)
        try:
            yield
        finally:
            layer.bias.data = before

    def _tree(self, phrases: tuple[str, ...]) -> BiasingRequestItemConfig:
        if phrases not in self._trees:
            tree = BoostingTreeModelConfig(**_settings(phrases))
            self._trees[phrases] = BiasingRequestItemConfig(boosting_model_cfg=tree, cache_key="\n".join(phrases))
        return self._trees[phrases]

    def _forms(self, keywords: Sequence[str]) -> tuple[str, ...]:
        """The spellings that the tokenizer can encode. For others NeMo would boost the token for unknown text."""
        if not self.supported or not keywords:
            return ()
        unknown = getattr(self._tokenizer, "unk_id", None)
        encoded = [(form, self._tokenizer.text_to_ids(form)) for form in spellings(keywords)]
        return tuple(form for form, tokens in encoded if tokens and unknown not in tokens)

    def _forbidden_tokens(self, languages: tuple[str, ...]) -> list[int]:
        if languages not in self._forbidden:
            self._forbidden = {languages: foreign(self._tokens(), languages)}
        return self._forbidden[languages]

    def _tokens(self) -> Iterator[tuple[int, str]]:
        if self._tokenizer is not None:
            return enumerate(self._tokenizer.ids_to_tokens(list(range(self._tokenizer.vocab_size))))
        return enumerate((self._model.joint if self._is_transducer else self._model.decoder).vocabulary)


def _settings(phrases: Sequence[str]) -> dict[str, Any]:
    return {
        "key_phrases_list": list(phrases),
        "context_score": FIRST,
        "depth_scaling": LATER / FIRST,
        "use_triton": False,
    }


def prepare(model: Any) -> None:
    """Configure the model's decoding for keywords, without CUDA graphs: they break `torch.load` and crash some GPUs."""
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
