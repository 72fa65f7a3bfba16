"""Surface cues of a text: what an encoder that ignores case and counts few marks can't see. No word list is needed."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from emofuse.features.contract import FeatureGroup

_NEGATION = re.compile(r"\b(?:no|not|never|nothing|nobody|none)\b|n['’]t\b", re.IGNORECASE)
_REPEAT = re.compile(r"(.)\1\1")
_MIXED = re.compile(r"!{2,}|\?{2,}|\?!|!\?")
NAMES = (
    "text_cue_log_characters",
    "text_cue_log_words",
    "text_cue_exclamations",
    "text_cue_questions",
    "text_cue_ellipses",
    "text_cue_commas",
    "text_cue_dashes",
    "text_cue_capitals",
    "text_cue_capitals_share",
    "text_cue_ends_exclaiming",
    "text_cue_ends_asking",
    "text_cue_repeats",
    "text_cue_mixed_marks",
    "text_cue_negations",
)
CUES = FeatureGroup(
    "cues",
    NAMES,
    "log(1 + count) of characters and words; counts of marks, words in capitals, letters said thrice or more, doubled "
    "marks and negations (of English), and whether it ends in ! or ?; all of the raw text",
    "counts",
    "surface cues as in sentiment analysis of short texts (Kouloumpis and others, ICWSM 2011)",
)


def cues(text: str) -> NDArray[np.float32]:
    """Cues of a raw text, since cleaning destroys them.

    Returns:
        float32 of shape (14,), in the order of `NAMES`: logarithms of the lengths, counts of marks, words in capitals
        and their share, how it ends, letters said thrice or more, doubled marks, and negations (of English).
    """
    text = text.strip()
    words = text.split()
    capitals = sum(len(word) > 1 and word.isupper() for word in words)
    return np.array(
        [
            math.log1p(len(text)),
            math.log1p(len(words)),
            text.count("!"),
            text.count("?"),
            text.count("...") + text.count("…"),
            text.count(","),
            text.count("-") + text.count("—"),
            capitals,
            capitals / max(len(words), 1),
            text.endswith("!"),
            text.endswith("?"),
            len(_REPEAT.findall(text)),
            len(_MIXED.findall(text)),
            len(_NEGATION.findall(text)),
        ],
        dtype=np.float32,
    )
