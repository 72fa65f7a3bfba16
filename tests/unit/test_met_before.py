"""Encoders that learnt from the corpus that they are measured on."""

from __future__ import annotations

import pytest

from emofuse.evaluation.met_before import PRETRAINED, met_before


@pytest.mark.parametrize(
    ("encoder", "layout", "data", "corpus"),
    [
        ("j-hartmann/emotion-english-distilroberta-base", "meld", "MELD.Raw", "meld"),
        ("/weights/emotion2vec_plus_base/", "ravdess", "root", "ravdess"),
        ("emotion2vec/emotion2vec_base", "table", "IEMOCAP_full_release", "iemocap"),
        ("superb/hubert-base-superb-er", "iemocap_six", "data", "iemocap"),
        ("emotion2vec/emotion2vec_plus_large", "folders", "crema-d", "crema_d"),
        ("speechbrain/emotion-recognition-wav2vec2-IEMOCAP", "iemocap", "data", "iemocap"),
    ],
)
def test_an_encoder_that_met_the_corpus_before_is_a_warning(encoder: str, layout: str, data: str, corpus: str) -> None:
    (warning,) = met_before({"text.encoder": encoder, "text.max_tokens": 128}, layout, data, {})
    assert f"has learnt from {corpus}, on which it is measured here (https://" in warning


@pytest.mark.parametrize(
    ("encoder", "layout"), [("embedded", "meld"), ("none", "meld"), ("emotion2vec/emotion2vec_base", "ravdess")]
)
def test_one_that_did_not_is_none(encoder: str, layout: str) -> None:
    assert not list(met_before({"audio.encoder": encoder}, layout, "data", {}))


def test_a_user_adds_what_they_know() -> None:
    mine = {"me/my-encoder": ["savee"]}
    (warning,) = met_before({"audio.encoder": "weights/my-encoder"}, "savee", "data", mine)
    assert "audio.encoder weights/my-encoder has learnt from savee" in warning and "(evaluate.met_before)" in warning
    assert not list(met_before({"audio.encoder": "weights/my-encoder"}, "meld", "data", mine))


def test_every_entry_names_its_source() -> None:
    assert all(each.source.startswith("https://") and each.corpora for each in PRETRAINED)
