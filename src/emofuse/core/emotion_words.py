"""What corpora and classifiers call emotions: which words mean one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emofuse.core.text import normal_label

# MELD's word first, then what others write, IEMOCAP's codes among them.
ALIKE = (
    ("anger", "angry", "ang"),
    ("disgust", "disgusted", "dis"),
    ("fear", "fearful", "fea"),
    ("joy", "happy", "happiness", "hap", "joyful"),
    ("neutral", "neu", "no emotion"),
    ("sadness", "sad"),
    ("surprise", "surprised", "sur", "pleasant surprise", "ps"),
    ("boredom", "bored"),
    ("calm", "calmness"),
    ("contempt", "contemptuous"),
    ("excitement", "excited", "exc"),
    ("frustration", "frustrated", "fru"),
    ("other", "others", "oth", "unknown", "unk", "<unk>", "xxx"),
)
# GoEmotions' words by Ekman's emotions (Demszky et al., ACL 2020), for data that doesn't tell them apart.
GROUPED = {
    "anger": ("annoyance", "disapproval"),
    "fear": ("nervousness",),
    "joy": (
        *("admiration", "amusement", "approval", "caring", "desire", "excitement"),
        *("gratitude", "love", "optimism", "pride", "relief"),
    ),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("confusion", "curiosity", "realization"),
    "neutral": ("calm",),  # which RAVDESS has beside it, and hardly anyone else
}
_SAME = {word: words for words in ALIKE for word in words}
_GROUP = {word: group for group, words in GROUPED.items() for word in words}
USUAL = tuple(words[0] for words in ALIKE[:7])
"""The classes of a model that is made without data."""


def is_emotion_word(label: str) -> bool:
    """Whether a label is a word that the package knows."""
    return normal_label(label) in _SAME or normal_label(label) in _GROUP


def class_of(label: str, classes: Sequence[str]) -> str | None:
    """The class that means what a label says: the same word, else a word for the same, else what it is counted to."""
    own = {normal_label(name): name for name in classes}
    return next((own[word] for word in _meanings(normal_label(label)) if word in own), None)


def _meanings(word: str) -> Iterator[str]:
    alike = _SAME.get(word, (word,))
    yield from (word, *alike)
    group = next((_GROUP[same] for same in alike if same in _GROUP), None)
    if group is not None:
        yield from _SAME[group]
