"""What keeps an encoder of words, sounds or faces from being loaded, and the classes of those that are classifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from emofuse.core.errors import EncoderError
from emofuse.core.hub import hub_place, pinned
from emofuse.core.params import AudioParams, ExtractorParams, Params, VisualParams
from emofuse.core.records import Utterance
from emofuse.features.audio.encoder import encoded_sounds
from emofuse.features.registry import feature_groups
from emofuse.features.text.extractor import TextExtractor
from emofuse.features.visual.encoder import encoded
from tests.conftest import tiny_classifier, tiny_encoder
from tests.unit import test_face_encoder as faces
from tests.unit import test_sound_encoder as sounds


class Kind(NamedTuple):
    """An encoder of a modality that a test saves, and what its messages say."""

    modality: str
    save: Callable[[Path], object]
    plain: Callable[[Path], object]  # one that is no classifier
    others: str
    processor: str  # without which no picture or sound is made its input


def save_words(folder: Path) -> None:
    tiny_classifier(folder, ["Joy & fun", "sad"])


KINDS = (
    Kind("text", save_words, tiny_encoder, "'embedded', a folder", "config.json"),
    Kind(
        "audio",
        partial(sounds.saved, kind="hubert"),
        partial(sounds.saved, kind="wavlm"),
        "none, 'embedded', a folder",
        "preprocessor_config.json",
    ),
    Kind(
        "visual",
        partial(faces.saved, kind="vit"),
        partial(faces.saved, kind="dinov2"),
        "none, a folder",
        "preprocessor_config.json",
    ),
)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.modality)


def section(params: Params, kind: Kind, folder: Path | str, **changes: object) -> ExtractorParams:
    """The params of an extractor that reads the encoder in a folder."""
    chosen = params.extractor(kind.modality)
    own = {"encoder": str(folder), **changes}
    return type(chosen).model_validate(chosen.model_dump() | own)


def opened(chosen: ExtractorParams) -> object:
    """Load what these params name."""
    if isinstance(chosen, AudioParams | VisualParams):
        return feature_groups(chosen)
    return list(TextExtractor(chosen).extract([Utterance("hello")]))


@every_kind
def test_a_layer_that_is_not_there_is_a_message(params: Params, tmp_path: Path, kind: Kind) -> None:
    kind.save(tmp_path)
    with pytest.raises(EncoderError, match=rf"{kind.modality}.layers names \[7\].*layers 0 \(embeddings\) to 2"):
        opened(section(params, kind, tmp_path, layers=[0, 7]))


@every_kind
def test_without_safetensors_and_where_files_are_torn_or_missing_the_remedy_is_told(
    params: Params, tmp_path: Path, kind: Kind
) -> None:
    for name in ("pickled", "torn", "no processor"):
        kind.save(tmp_path / name)
    weights = tmp_path / "pickled" / "model.safetensors"
    torch.save({}, weights.with_name("pytorch_model.bin"))
    weights.unlink()
    torn = tmp_path / "torn" / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:500])
    (tmp_path / "no processor" / kind.processor).unlink()
    (tmp_path / "empty").mkdir()
    for folder, message in (
        ("no processor", "can't be loaded"),
        ("pickled", "safetensors alone.*save_pretrained it once"),
        ("torn", "can't be loaded"),
        ("empty", "can't be loaded"),
        ("nowhere", f"can't be loaded.*expected {kind.others}"),
    ):
        with pytest.raises(EncoderError, match=rf"{kind.modality}\.encoder .*{message}"):
            opened(section(params, kind, tmp_path / folder, layers=[-1]))


@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        (KINDS[1], partial(sounds.saved, kind="bert"), "BertModel, which reads input_ids; expected a model that h"),
        (KINDS[1], partial(sounds.saved, kind="vit"), "which reads pixel_values; expected a model that hears sounds"),
        (
            KINDS[2],
            partial(faces.saved, kind="bert"),
            "BertModel, which reads input_ids; expected a model that reads pi",
        ),
    ],
)
def test_a_model_of_something_else_is_a_message(
    params: Params, tmp_path: Path, kind: Kind, other: Callable[[Path], object], message: str
) -> None:
    other(tmp_path)
    with pytest.raises(EncoderError, match=message):
        opened(section(params, kind, tmp_path))


@every_kind
def test_without_a_network_a_hub_name_is_a_message(params: Params, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/such-a-model", "nobody/such-a-model@v1"):
        with pytest.raises(EncoderError, match="the model hub must be in reach"):
            opened(section(params, kind, name))


def test_weights_of_other_revisions_change_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshots = tmp_path / "models--owner--model/snapshots"
    for number in range(3):
        folder = snapshots / (str(number) * 40)
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        if number:
            save_file({"a": np.full(1, number, np.float32)}, folder / "model.safetensors")
    one, other = (pinned("pretrained.text", f"owner/model@{digit * 40}") for digit in "12")
    assert one[0] == f"owner/model@{'1' * 40}" and one[1] != other[1]
    with pytest.raises(EncoderError, match="no weights in safetensors"):
        pinned("pretrained.text", f"owner/model@{'0' * 40}")


def test_a_revision_stands_after_the_name(tmp_path: Path) -> None:
    assert hub_place("owner/model") == ("owner/model", "main")
    assert hub_place("owner/model@9f1c2ab") == ("owner/model", "9f1c2ab")
    (tmp_path / "a@b").mkdir()
    assert hub_place(str(tmp_path / "a@b")) == (str(tmp_path / "a@b"), "main")


def test_sounds_and_faces_may_give_the_classes_alone(params: Params, tmp_path: Path) -> None:
    for kind in KINDS[1:]:
        kind.save(tmp_path / kind.modality)
    audio, visual = (section(params, kind, tmp_path / kind.modality, groups=[], layers=[]) for kind in KINDS[1:])
    heard = [column for group in feature_groups(audio) for column in group.columns]
    assert heard == ["sound_class_00_joy_fun", "sound_class_01_sad"]
    seen = [column for group in feature_groups(visual) for column in group.columns]
    assert seen == ["expression_00_joy_fun", "expression_01_sad", "face_share"]
    assert isinstance(audio, AudioParams) and isinstance(visual, VisualParams)
    for row in (encoded_sounds(sounds.noises(0.7), audio)[0], encoded([faces.faces(2)], visual)[0]):
        assert row.shape == (2,) and row.sum() == pytest.approx(1, abs=1e-5)


@every_kind
def test_the_classes_of_an_encoder_that_has_none_are_a_message(params: Params, tmp_path: Path, kind: Kind) -> None:
    kind.plain(tmp_path)
    changes = {"groups": ["classes"]} if kind.modality == "text" else {"groups": [], "layers": []}
    with pytest.raises(EncoderError, match=r"classes.* is no(ne| classifier).*name one"):
        opened(section(params, kind, tmp_path, **changes))


@pytest.mark.parametrize("several", [False, True])
def test_the_classes_of_words_are_what_the_published_model_gives(params: Params, tmp_path: Path, several: bool) -> None:
    tiny_classifier(tmp_path, ["Joy & fun", "sad", "calm"])
    if several:
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    chosen = section(params, KINDS[0], tmp_path, groups=["classes", "embedding"], layers=[-1], pooling=["mean"])
    extractor = TextExtractor(chosen)
    assert extractor.names[:3] == ("text_class_00_joy_fun", "text_class_01_sad", "text_class_02_calm")
    texts = ["so good", "no", "I can not believe that you did this to me of all people"]
    alone = section(params, KINDS[0], tmp_path, groups=["classes"])
    rows = [row.values for row in extractor.extract([Utterance(text) for text in texts])]
    streamed = dict(TextExtractor(alone).stream([Utterance(text) for text in texts]))
    tokenizer, model = (kind.from_pretrained(tmp_path) for kind in (AutoTokenizer, AutoModelForSequenceClassification))
    for number, text in enumerate(texts):
        with torch.inference_mode():
            logits = model.eval()(**tokenizer(text, return_tensors="pt")).logits[0]
        wanted = (logits.sigmoid() if several else logits.softmax(dim=0)).numpy()
        assert rows[number] is not None and len(rows[number]) == 3 + 16
        np.testing.assert_allclose(rows[number][:3], wanted, atol=1e-5)
        np.testing.assert_allclose(streamed[number].values, wanted, atol=1e-5)
        [(_, again)] = TextExtractor(alone).stream([Utterance(text)])
        np.testing.assert_array_equal(again.values, streamed[number].values)
    assert AutoConfig.from_pretrained(tmp_path).num_labels == 3
