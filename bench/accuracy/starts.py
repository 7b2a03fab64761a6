"""Reads {file, utterances: [[start, text], ...], words: [[word, start], ...]} and prints two median errors, in s, as JSON.

The first is against the starts of the list. These lie in the pause before the utterance, so the second is against the onset of
speech after them: the first 60 ms of which four fifths are louder than 30 dB below the loud parts (95 %) of the file.
"""

import difflib
import json
import re
import statistics
import sys

import av
import numpy as np

RATE = 16_000
FRAME = RATE // 100
QUIETER_DB = 30
FRAMES = 6
SHARE = 0.8
SEARCHED = 150


def plain(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


def levels(file):
    """The level of each frame of 10 ms, in dB."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(file) as container:
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    samples = np.concatenate(parts).astype(np.float64) / 32768
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)


def onset(start):
    """The onset of speech after `start`; None if there is none within 1.5 s."""
    first = int(start * 100)
    loud = level[first : first + SEARCHED] > limit
    found = (at for at in range(len(loud) - FRAMES) if loud[at : at + FRAMES].mean() >= SHARE)
    at = next(found, None)
    return None if at is None else start + at / 100


given = json.load(sys.stdin)
level = levels(given["file"])
limit = np.percentile(level, 95) - QUIETER_DB
spoken = [(plain(word), start if first == 0 else None) for start, text in given["utterances"] for first, word in enumerate(text.split())]
heard = [(plain(word), start) for word, start in given["words"] if plain(word)]
matcher = difflib.SequenceMatcher(None, [word for word, _ in spoken], [word for word, _ in heard], autojunk=False)
pairs = [
    (heard[b + at][1], spoken[a + at][1])
    for a, b, length in matcher.get_matching_blocks()
    for at in range(length)
    if spoken[a + at][1] is not None
]
onsets = [(ours, onset(start)) for ours, start in pairs]
print(
    json.dumps(
        [
            statistics.median(abs(ours - start) for ours, start in pairs),
            statistics.median(abs(ours - start) for ours, start in onsets if start is not None),
        ]
    )
)
