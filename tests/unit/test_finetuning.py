"""Encoders trained end to end, and their columns beside the other text features."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import stages.finetune
from emofuse.core.errors import BundleError, DataError
from emofuse.core.files import write_json
from emofuse.core.params import FinetuneParams, IngestParams, Params, Section, TextParams, TrainParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, FeatureTable, Line, Utterance
from emofuse.core.tables import MANIFEST, read_features, read_manifest, write_manifest
from emofuse.features.registry import make_extractor
from emofuse.features.text.encoder import load_encoder
from emofuse.features.text.finetuned import FinetunedEncoder, FinetunedNetwork, answers, tokenized
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.description import bundle_version, copy_bundle
from emofuse.inference.predictor import Predictor
from emofuse.training.finetune import FinetunedMember, finetune, finetune_manifest
from emofuse.training.folds import Origins
from tests.conftest import tiny_encoder
from tests.pipeline.imports import ROOT

WHO = ("my sister", "our neighbour", "the doctor", "everyone")
HOW = ("so happy", "terribly sad", "delighted", "in tears", "over the moon", "heartbroken")  # joy and sadness in turn
LABELS = ("joy", "sadness")


def said(text: str, *before: str) -> Utterance:
    return Utterance(text, context=tuple(map(Line, before)))


@pytest.fixture(scope="module")
def text(params: Params) -> TextParams:
    quick = params.text.finetune.model_copy(
        update={"epochs": 10, "batch_size": 4, "learning_rate": 2e-4, "precision": "fp32"}
    )
    return params.text.model_copy(update={"finetune": quick, "layers": [-1], "pooling": ["mean"]})


@pytest.fixture(scope="module")
def found(text: TextParams, params: Params) -> list[FinetunedMember]:
    train = params.train.model_copy(update={"folds": 2})
    rows = [said(f"{who} is {how}") for who in WHO for how in HOW]
    return list(finetune(rows, np.tile([0, 1], 12), 2, Origins([who for who in WHO for _ in HOW]), text, train, seed=1))


@pytest.fixture(scope="module")
def folder(found: list[FinetunedMember], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finetuned")
    write_json(folder / "finetuned.json", {"labels": LABELS})
    for number, member in enumerate(found):
        member.save(folder / f"member{number}.safetensors")
    return folder


@pytest.mark.slow
def test_a_tuned_encoder_tells_classes_apart_in_dialogues_that_it_never_met(found: list[FinetunedMember]) -> None:
    right = [(member.scores.argmax(axis=1) == member.held_out % 2).mean() for member in found]
    assert np.mean(right) >= 0.9
    assert sorted(np.concatenate([member.held_out for member in found])) == list(range(24))


def test_only_the_embeddings_of_the_tokens_stay(text: TextParams, found: list[FinetunedMember]) -> None:
    fresh = load_encoder(text.encoder, "cpu")[1].state_dict()
    finetuned = found[0].network.encoder.state_dict()
    kept = [name for name, value in fresh.items() if torch.equal(value, finetuned[name])]
    assert "embeddings.word_embeddings.weight" in kept
    assert "encoder.layer.0.attention.self.query.weight" not in kept


def test_stored_encoders_answer_as_trained(text: TextParams, found: list[FinetunedMember], folder: Path) -> None:
    asked = [said("what a terrible loss"), said("hooray for this lovely day, I love it")]
    tokens = tokenized(load_encoder(text.encoder, "cpu")[0], asked, text)
    parts = np.stack([answers(member.network, tokens, "fp32") for member in found]).mean(axis=0)
    expected = parts - np.logaddexp.reduce(parts, axis=1, keepdims=True)
    np.testing.assert_allclose(FinetunedEncoder(folder, text, "cpu").scores(asked), expected, atol=1e-5)


def test_a_text_is_scored_alike_alone_and_beside_longer_ones(text: TextParams, folder: Path) -> None:
    finetuned = FinetunedEncoder(folder, text, "cpu")
    many = [said("fine"), said("a longer line that says a good deal more than the others do"), said("why not")]
    alone = np.concatenate([finetuned.scores([one]) for one in many])
    np.testing.assert_allclose(finetuned.scores(many), alone, atol=1e-4)


def test_the_lines_before_are_read_where_asked_for_nearest_first(text: TextParams) -> None:
    tokenizer, encoder = load_encoder(text.encoder, "cpu")
    two = text.model_copy(update={"finetune": text.finetune.model_copy(update={"previous": 2}), "max_tokens": 12})
    [row] = tokenized(tokenizer, [said("yes", "far", "near", "nearest")], two)
    assert tokenizer.decode(row.ids) == "[CLS] yes [SEP] nearest [SEP] near [SEP]"
    assert tokenizer.convert_ids_to_tokens(row.ids[row.own == 1]) == ["yes"]
    [plain] = tokenized(tokenizer, [said("yes", "nearest")], text)
    assert tokenizer.decode(plain.ids) == "[CLS] yes [SEP]"
    [cut] = tokenized(tokenizer, [said("yes", "word " * 20)], two)
    assert len(cut.ids) == 12
    logits = FinetunedNetwork(encoder, 2).eval()([row, plain])
    assert logits.shape == (2, 2)


def test_a_bundle_carries_its_tuned_encoders_and_refuses_altered_ones(
    text: TextParams, params: Params, folder: Path, tmp_path: Path
) -> None:
    extractor = make_extractor(text, "cpu", folder)
    assert extractor.names[-2:] == ("text_finetuned_joy", "text_finetuned_sadness")
    rows = list(extractor.extract([said("what a lovely day"), Utterance()]))
    assert rows[1] == Extracted(None, Cause(Reason.NO_TEXT))
    scaler = Scaler.fit(FeatureTable.stack(extractor.names, rows), 10.0)
    torch.manual_seed(0)
    member = make_model("text", {"text": scaler.width}, 2, params.train).eval()
    names, extractors = {"text": extractor.names}, {"text": text}
    bundle = Bundle("text", LABELS, names, extractors, {"text": scaler}, params.train, 1, [member])
    save_bundle(replace(bundle, finetuned=folder), tmp_path / "bundle")
    back = load_bundle(tmp_path / "bundle")
    assert Predictor(back).predict([said("lovely")]) == Predictor(replace(back, finetuned=folder)).predict(
        [said("lovely")]
    )
    weights = tmp_path / "bundle" / "finetuned" / "member0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"member0\.safetensors missing, altered"):
        load_bundle(tmp_path / "bundle")


@pytest.fixture
def beside(text: TextParams, params: Params, folder: Path, tmp_path: Path) -> Bundle:
    """A bundle in models/text, its encoders beside it in models/finetuned."""
    shutil.copytree(folder, tmp_path / "models/finetuned")
    extractor = make_extractor(text, "cpu", folder)
    scaler = Scaler.fit(FeatureTable.stack(extractor.names, list(extractor.extract([said("what a lovely day")]))), 10.0)
    member = make_model("text", {"text": scaler.width}, 2, params.train).eval()
    names, extractors = {"text": extractor.names}, {"text": text}
    bundle = Bundle("text", LABELS, names, extractors, {"text": scaler}, params.train, 1, [member])
    bundle = replace(bundle, finetuned=tmp_path / "models/finetuned")
    save_bundle(bundle, tmp_path / "models/text")
    return bundle


def test_bundles_share_the_encoders_beside_them_and_a_copy_is_whole(beside: Bundle, tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert sorted(path.name for path in (models / "text").iterdir()) == ["bundle.json", "weights.safetensors"]
    answer = Predictor(load_bundle(models / "text")).predict([said("lovely")])
    copy_bundle(models / "text", models / "champion")
    save_bundle(beside, tmp_path / "elsewhere/mine")
    shutil.rmtree(models / "finetuned")
    for place in (models / "champion", tmp_path / "elsewhere/mine"):
        assert Predictor(load_bundle(place)).predict([said("lovely")]) == answer
    copy_bundle(models / "champion", tmp_path / "again")
    assert Predictor(load_bundle(tmp_path / "again")).predict([said("lovely")]) == answer
    for name in ("text", "champion"):
        assert bundle_version(models / name) == answer[0].version
    with pytest.raises(BundleError, match="missing, altered"):
        load_bundle(models / "text")
    with pytest.raises(BundleError, match="no such file"):
        copy_bundle(models / "text", tmp_path / "half")
    assert not [path for path in tmp_path.rglob("*") if "half" in path.name]


@pytest.mark.parametrize("harm", ["altered", "gone", "another", "described"])
def test_encoders_that_are_not_those_of_the_training_are_refused(beside: Bundle, tmp_path: Path, harm: str) -> None:
    first = tmp_path / "models/finetuned/member0.safetensors"
    if harm == "altered":
        first.write_bytes(first.read_bytes()[:-1] + b"x")
    elif harm == "gone":
        first.unlink()
    elif harm == "another":  # which would be asked beside the others
        shutil.copy(first, first.with_name("member7.safetensors"))
    else:
        write_json(first.with_name("finetuned.json"), {"labels": ["joy", "grief"]})
    with pytest.raises(BundleError, match="missing, altered or not of this bundle"):
        load_bundle(tmp_path / "models/text")


def talk(rows: Sequence[tuple[str, str | None, str]]) -> pd.DataFrame:
    """A manifest of split, label and text, two lines a dialogue."""
    frame = pd.DataFrame(rows, columns=["split", "label", "text"])
    number = np.arange(len(frame))
    frame = frame.assign(clean_text=frame["text"], dialogue=(number // 2).astype(str), utterance=number % 2)
    frame = frame.assign(position=number % 2, dialogue_length=2, issues=[[]] * len(frame))
    frame["group"] = "dialogue " + frame["split"] + "/" + frame["dialogue"]
    return frame.reindex(columns=MANIFEST.names)


@pytest.fixture(scope="module")
def tiny(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Params:
    """Params of an encoder that is trained in a moment."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_encoder(folder)
    finetune = params.text.finetune.model_copy(update={"epochs": 1, "batch_size": 4})
    text = params.text.model_copy(update={"encoder": str(folder), "finetune": finetune})
    return params.model_copy(update={"text": text, "train": params.train.model_copy(update={"folds": 2})})


@pytest.mark.parametrize("silent", [("sadness",), ("anger",), ("joy", "sadness")])
def test_a_class_whose_rows_have_no_text_is_a_class_all_the_same(
    tiny: Params, silent: tuple[str, ...], tmp_path: Path
) -> None:
    labels = ("anger", "joy", "sadness")
    train = [("train", label, "" if label in silent else f"I feel {label}") for label in labels * 6]
    manifest = talk([*train, ("dev", "joy", "well"), ("test", "joy", "")])
    scores = finetune_manifest(manifest, labels, tiny, tmp_path)
    there = [row.values is not None for row in scores]
    assert there == (manifest["text"] != "").tolist()
    assert {len(row.values) for row in scores if row.values is not None} == {3}
    assert np.concatenate([np.exp(row.values).sum(keepdims=True) for row in scores if row.values is not None]) == (
        pytest.approx(1, abs=1e-4)
    )
    encoder = FinetunedEncoder(tmp_path, tiny.text, "cpu")
    np.testing.assert_array_equal(encoder.scores([said("well")])[0], scores[-2].values)


def test_no_row_outside_of_training_need_have_text(tiny: Params, tmp_path: Path) -> None:
    manifest = talk([*[("train", label, "hm") for label in LABELS * 4], ("dev", "joy", ""), ("predict", None, "")])
    scores = finetune_manifest(manifest, LABELS, tiny, tmp_path)
    assert [row.values is None for row in scores] == [False] * 8 + [True] * 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("train", "joy", ""), ("train", "sadness", ""), ("dev", "joy", "well")],
            "no labelled training row with text",
        ),
        ([("train", "joy", "a"), ("train", "sadness", "b"), ("train", "joy", "")], "found 1 dialogues"),
        ([("train", None, "a"), ("train", "joy", ""), ("test", "sadness", "b")], "no labelled training row with text"),
    ],
)
def test_too_little_text_to_finetune_on_is_a_message(
    tiny: Params, rows: list[tuple[str, str | None, str]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        finetune_manifest(talk(rows), LABELS, tiny, tmp_path)


def test_the_stage_names_the_params_that_it_reads_and_no_others(
    tiny: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes = {Params: "", IngestParams: "ingest.", TrainParams: "train."}
    prefixes |= {TextParams: "text.", FinetuneParams: "text.finetune."}
    read: set[str] = set()

    def spy(self: Section, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name in type(self).model_fields and not isinstance(value, Section):
            read.add(f"{prefixes[type(self)]}{name}")
        return value

    write_manifest(
        talk([("train", label, f"I feel {label}") for label in LABELS * 6]), tmp_path / "data/manifest.parquet"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages.finetune, "load_params", lambda: tiny)
    monkeypatch.setattr(Section, "__getattribute__", spy, raising=False)
    stages.finetune.main()
    monkeypatch.undo()
    listed = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["finetune"]["params"]
    assert {name for name in tiny.of_results() if any(f"{name}.".startswith(f"{one}.") for one in listed)} == {
        *read,
        "numerics",  # by what the process is pinned to
    }
    assert read_features("text", read_manifest(tmp_path / "data/manifest.parquet"), tmp_path / "models/finetuned")
