"""Classifiers of emotions on the model hub: what they have learnt from, and their terms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownClassifier:
    """What its authors say of a classifier.

    Attributes:
        learnt_from: the data that it was trained on.
        licence: its terms; None where they name none.
        megabytes: of its weights, about.
    """

    learnt_from: str
    licence: str | None
    megabytes: int

    def brought(self, name: str) -> str:
        """What to know of it before it is brought, in a line."""
        terms = self.licence or "none named"
        return f"{name}: about {self.megabytes} MB, learnt from {self.learnt_from}; licence: {terms}"


_IEMOCAP = "IEMOCAP, acted dialogues in English, for research"
KNOWN_CLASSIFIERS = {
    "SamLowe/roberta-base-go_emotions": KnownClassifier("GoEmotions, English comments on Reddit", "MIT", 500),
    "j-hartmann/emotion-english-distilroberta-base": KnownClassifier("six English corpora, MELD among them", None, 330),
    "superb/hubert-base-superb-er": KnownClassifier(_IEMOCAP, "Apache-2.0", 380),
    "superb/hubert-large-superb-er": KnownClassifier(_IEMOCAP, "Apache-2.0", 1270),
    "superb/wav2vec2-base-superb-er": KnownClassifier(_IEMOCAP, "Apache-2.0", 380),
    "trpakov/vit-face-expression": KnownClassifier(
        "FER2013, faces from an image search, for research", "Apache-2.0", 340
    ),
}
USUAL_CLASSIFIERS = {
    "text": "SamLowe/roberta-base-go_emotions",
    "audio": "superb/hubert-base-superb-er",
    "visual": "trpakov/vit-face-expression",
}
"""Those of a model without data, where nobody names others."""
