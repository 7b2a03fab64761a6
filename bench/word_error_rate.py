"""Reads pairs of reference and hypothesis as JSON from stdin and prints their word error rate.

A pair may have a `language`, as ISO-639-1: without one it is English. Chinese and Japanese are counted in characters.
With `--json` the sums are printed as JSON: `words` and `errors`.
"""

import json
import sys

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

english, words_of, letters_of = EnglishTextNormalizer(), BasicTextNormalizer(), BasicTextNormalizer(split_letters=True)


def normalise(pair: dict[str, str], key: str) -> str:
    """Only the words, in lower case."""
    language = pair.get("language", "en")
    normaliser = english if language == "en" else letters_of if language in ("ja", "zh") else words_of
    return str(normaliser(pair[key])).strip()


pairs = json.load(sys.stdin)
measures = jiwer.process_words(
    [normalise(pair, "reference") for pair in pairs], [normalise(pair, "hypothesis") for pair in pairs]
)
words = measures.hits + measures.substitutions + measures.deletions
errors = measures.substitutions + measures.deletions + measures.insertions
if "--json" in sys.argv:
    print(json.dumps({"words": words, "errors": errors}))
else:
    print(
        f"word error rate {measures.wer:.2%} ({words} words: {measures.substitutions} wrong, "
        f"{measures.deletions} missing, {measures.insertions} too many)"
    )
