"""Encoders trained end to end, and their columns beside the other text features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emofuse.core.errors import BundleError
from emofuse.core.params import Params, TextParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, FeatureTable, Line, Utterance
from emofuse.core.tables import write_json
from emofuse.features.registry import make_extractor
from emofuse.features.text.encoder import load_encoder
from emofuse.features.text.finetuned import FinetunedEncoder, FinetunedNetwork, answers, tokenized
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.predictor import Predictor
from emofuse.training.finetune import FinetunedMember, finetune

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
    return list(finetune(rows, np.tile([0, 1], 12), [who for who in WHO for _ in HOW], text, train, seed=1))


@pytest.fixture(scope="module")
def folder(found: list[FinetunedMember], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finetuned")
    write_json(folder / "finetuned.json", {"labels": LABELS})
    for number, member in enumerate(found):
        weights = {name: value.detach().half().contiguous() for name, value in member.network.trained().items()}
        save_file(weights, folder / f"member{number}.safetensors")
    return folder


def test_a_tuned_encoder_tells_classes_apart_in_dialogues_that_it_never_met(found: list[FinetunedMember]) -> None:
    right = [(member.scores.argmax(axis=1) == member.held % 2).mean() for member in found]
    assert np.mean(right) >= 0.9
    assert sorted(np.concatenate([member.held for member in found])) == list(range(24))


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
    with pytest.raises(BundleError, match="altered"):
        load_bundle(tmp_path / "bundle")
