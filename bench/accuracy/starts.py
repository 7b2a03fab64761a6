"""Reads {utterances: [[start, text], ...], words: [[word, start], ...]} and prints the median error of utterance starts in s."""

import difflib
import json
import re
import statistics
import sys

given = json.load(sys.stdin)


def plain(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


spoken = [(plain(word), start if first == 0 else None) for start, text in given["utterances"] for first, word in enumerate(text.split())]
heard = [(plain(word), start) for word, start in given["words"] if plain(word)]
matcher = difflib.SequenceMatcher(None, [word for word, _ in spoken], [word for word, _ in heard], autojunk=False)
errors = [
    abs(heard[b + at][1] - spoken[a + at][1])
    for a, b, length in matcher.get_matching_blocks()
    for at in range(length)
    if spoken[a + at][1] is not None
]
print(statistics.median(errors))
