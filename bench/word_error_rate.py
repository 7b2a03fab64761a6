"""Reads pairs of reference and hypothesis as JSON from stdin and prints their word error rate."""

import json
import sys

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

normalise = EnglishTextNormalizer()
pairs = [(normalise(pair["reference"]), normalise(pair["hypothesis"])) for pair in json.load(sys.stdin)]
measures = jiwer.process_words([reference for reference, _ in pairs], [hypothesis for _, hypothesis in pairs])
words = measures.hits + measures.substitutions + measures.deletions
print(
    f"word error rate {measures.wer:.2%} ({words} words: {measures.substitutions} wrong, "
    f"{measures.deletions} missing, {measures.insertions} too many)"
)
