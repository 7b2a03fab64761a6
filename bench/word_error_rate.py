"""Reads pairs of reference and hypothesis as JSON from stdin and prints their word error rate.

With `--each` it prints [[errors, words], ...] as JSON, with `--json` the sums. A pair may name its `language`; Chinese and
Japanese count letters.
"""

import json
import sys

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

english, letters, other = EnglishTextNormalizer(), BasicTextNormalizer(split_letters=True), BasicTextNormalizer()


def normalised(pair):
    language = pair.get("language", "en")
    normalise = {"en": english, "zh": letters, "ja": letters}.get(language, other)
    return normalise(pair["reference"]), normalise(pair["hypothesis"])


pairs = [normalised(pair) for pair in json.load(sys.stdin)]
if "--each" in sys.argv:
    each = [jiwer.process_words(*pair) for pair in pairs]
    counts = [(one.substitutions + one.deletions, one.insertions, one.hits) for one in each]
    print(json.dumps([[wrong + added, wrong + hits] for wrong, added, hits in counts]))
    sys.exit()
measures = jiwer.process_words([reference for reference, _ in pairs], [hypothesis for _, hypothesis in pairs])
words = measures.hits + measures.substitutions + measures.deletions
errors = measures.substitutions + measures.deletions + measures.insertions
if "--json" in sys.argv:
    print(json.dumps({"words": words, "errors": errors}))
else:
    print(
        f"word error rate {measures.wer:.2%} ({words} words: {measures.substitutions} wrong, "
        f"{measures.deletions} missing, {measures.insertions} too many)"
    )
