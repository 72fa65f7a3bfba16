"""Encoders that were trained on the very corpus that a model is measured on: their scores there are too good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

ACTED = ("crema_d", "emodb", "iemocap", "meld", "ravdess", "savee", "tess")  # that EmoBox holds
READ_BY = (
    "encoder",
    "recogniser",
    "pretrained.text",
    "pretrained.audio",
    "pretrained.visual",
)  # how the params end that name pretrained weights


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights, the corpora of `ingest.layout` that they learnt from, and where that is written.

    Attributes:
        name: what their hub name holds after its owner, in lower case, or its beginning.
        corpora: under the names of layouts.
        source: the address of who says so.
    """

    name: str
    corpora: Sequence[str]
    source: str


PRETRAINED = (
    Pretrained("emotion2vec_plus", ACTED, "https://huggingface.co/emotion2vec/emotion2vec_plus_seed"),
    Pretrained("emotion2vec", ("iemocap", "meld"), "https://aclanthology.org/2024.findings-acl.931"),
    Pretrained("emotion-english", ("meld",), "https://huggingface.co/j-hartmann/emotion-english-distilroberta-base"),
    Pretrained("emoberta", ("iemocap", "meld"), "https://github.com/tae898/erc"),
    Pretrained("hubert-base-superb-er", ("iemocap",), "https://huggingface.co/superb/hubert-base-superb-er"),
    Pretrained("hubert-large-superb-er", ("iemocap",), "https://huggingface.co/superb/hubert-large-superb-er"),
    Pretrained("wav2vec2-base-superb-er", ("iemocap",), "https://huggingface.co/superb/wav2vec2-base-superb-er"),
    Pretrained("wav2vec2-large-superb-er", ("iemocap",), "https://huggingface.co/superb/wav2vec2-large-superb-er"),
    Pretrained(
        "wav2vec2-lg-xlsr-en-speech-emotion-recognition",
        ("ravdess",),
        "https://huggingface.co/ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition",
    ),
    Pretrained(
        "wav2vec2-xlsr-english-speech-emotion-recognition",
        ("ravdess",),
        "https://huggingface.co/AreejB/wav2vec2-xlsr-english-speech-emotion-recognition",
    ),
    Pretrained(
        "wav2vec-english-speech-emotion-recognition",
        ("ravdess", "savee", "tess"),
        "https://huggingface.co/r-f/wav2vec-english-speech-emotion-recognition",
    ),
    Pretrained(
        "speech-emotion-recognition-with-facebook-wav2vec2-large-xlsr-53",
        ("ravdess", "savee", "tess"),
        "https://huggingface.co/firdhokk/speech-emotion-recognition-with-facebook-wav2vec2-large-xlsr-53",
    ),
    Pretrained(
        "emotion-recognition-wav2vec2-iemocap",
        ("iemocap",),
        "https://huggingface.co/speechbrain/emotion-recognition-wav2vec2-IEMOCAP",
    ),
    Pretrained("exhubert", ACTED, "https://huggingface.co/amiriparian/ExHuBERT"),
)


def met_before(params: Mapping[str, Any], layout: str, data: str, more: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A warning for each pretrained encoder that is known to have learnt from the data that it is measured on.

    Args:
        params: flat, of the extractors, such as `text.encoder`; a hub name, or a folder whose last part is one.
        layout: of the data.
        data: what it is called, for corpora that are read as a table or as folders.
        more: what a user knows beside `PRETRAINED`, `evaluate.met_before`: corpora by the name of an encoder.
    """
    table = (*(Pretrained(name, corpora, "evaluate.met_before") for name, corpora in more.items()), *PRETRAINED)
    for key, value in params.items():
        if key.endswith(READ_BY) and isinstance(value, str):
            own = [each for each in table if _last(value).startswith(_last(each.name))]
            pairs = ((corpus, each.source) for each in own for corpus in each.corpora if _is(corpus, layout, data))
            for corpus, source in islice(pairs, 1):
                yield (
                    f"{key} {value} has learnt from {corpus}, on which it is measured here ({source}): scores are too "
                    "good, and not to be held against those of models that learnt from train alone"
                )


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1].lower()


def _is(corpus: str, layout: str, data: str) -> bool:
    """Whether data is a corpus: by its layout, or by a folder that bears its name."""
    plain = corpus.lower().replace("_", "").replace("-", "")
    layout_plain, data_plain = (name.lower().replace("_", "").replace("-", "") for name in (layout, data))
    return layout_plain.startswith(plain) or plain in data_plain
