"""What the evaluation says of models whose strengths and faults are known."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from emofuse.core.layouts import CORPORA
from emofuse.core.learnt import LearntFrom, PretrainedClassifier
from emofuse.core.params import EvaluateParams, Metric, Params
from emofuse.core.records import MODALITIES, FeatureTable
from emofuse.evaluation.ablations import feature_importance, features, modality_importance, subset_scores, subsets
from emofuse.evaluation.calibration import calibration, coverage
from emofuse.evaluation.findings import best_single, findings, intervals
from emofuse.evaluation.measured import Measured, differences
from emofuse.evaluation.mistakes import confusion_counts, mistakes
from emofuse.evaluation.scoring import Scores, score_models
from emofuse.evaluation.slices import find_slices, slice_scores
from emofuse.evaluation.subject import Hidden, Shuffled, Subject, together
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import fit_scalers
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.predictor import Predictor
from emofuse.media.decode import middle_frame
from emofuse.reporting.report import Material, write_card, write_report
from emofuse.reporting.thumbnails import thumbnails
from emofuse.training.bundle_training import train_bundle
from tests.conftest import write_clip

LABELS = ("anger", "joy", "neutral")
COUNT = 240
MET = ("text.encoder a/b has learnt from meld",)
LOOKED = EvaluateParams(champion_metric="weighted_f1", met_before={}, resamples=200, slice_rows=10)
WIDTHS = {"text": 60, "audio": 4, "visual": 3, "metadata": 2}
MARKED = {"early": {"held_out": 0.02, "dev": 0.015, "test": 0.04}}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    chance = np.random.default_rng(3)
    number = np.arange(COUNT)
    return pd.DataFrame(
        {
            "split": "test",
            "dialogue": (number // 6).astype(str),
            "utterance": number,
            "position": number % 6,
            "dialogue_length": 6,
            "speaker": np.where(number % 4 < 2, "Ross", "Rachel"),
            "intensity": np.where(number % 2 == 0, "strong", ""),
            "text": "well I never",
            "clip": None,
            "label": chance.choice(LABELS, size=COUNT, p=[0.2, 0.3, 0.5]),
        }
    )


@pytest.fixture(scope="module")
def tables(rows: pd.DataFrame) -> Mapping[str, FeatureTable]:
    """Features of which `text` tells the label, one column of `audio` tells some of it, and the rest tells nothing."""
    chance = np.random.default_rng(4)
    codes = pd.Index(LABELS).get_indexer(rows["label"])
    made = {}
    for modality, width in WIDTHS.items():
        values = chance.normal(size=(COUNT, width)).astype(np.float32)
        if modality == "text":
            values[:, :3] += 3 * np.eye(3, dtype=np.float32)[codes]
        if modality == "audio":
            values[:, 1] += 2 * (codes == 0)
        names = tuple(f"{modality}_{'e' if modality == 'text' else 'abcd'[n]}{n:02d}" for n in range(width))
        present = chance.random(COUNT) > 0.1
        made[modality] = FeatureTable(
            names, values * present[:, None], present, tuple("" if p else "gone" for p in present)
        )
    return made


@pytest.fixture(scope="module")
def subject(
    rows: pd.DataFrame, tables: Mapping[str, FeatureTable], params: Params, tmp_path_factory: pytest.TempPathFactory
) -> Subject:
    quick = params.train.model_copy(update={"folds": 2, "epochs": 30})
    changed = params.model_copy(update={"train": quick, "seed": 1})
    manifest = rows.assign(split="train")
    scalers = fit_scalers(manifest, tables, params.scale)
    folder = tmp_path_factory.mktemp("models") / "early"
    save_bundle(train_bundle("early", manifest, tables, scalers, changed).bundle, folder)
    return Subject(Predictor(load_bundle(folder)), rows, tables)


@pytest.fixture(scope="module")
def measured(rows: pd.DataFrame, subject: Subject) -> Measured:
    return of(rows, {"early": subject.answer()})


def of(rows: pd.DataFrame, probabilities: Mapping[str, NDArray[np.float64]]) -> Measured:
    return Measured(rows, LABELS, probabilities, resamples=200, seed=1)


def sure(rows: pd.DataFrame, answers: list[str], confidence: float = 0.8) -> NDArray[np.float64]:
    """Probabilities of a model that gives these answers, each as sure as the others."""
    rest = (1 - confidence) / (len(LABELS) - 1)
    return np.where(pd.Index(LABELS).get_indexer(answers)[:, None] == np.arange(len(LABELS)), confidence, rest)


def test_every_subset_of_four_modalities_is_asked_once() -> None:
    found = list(subsets(MODALITIES))
    assert len(found) == len(set(found)) == 15
    assert found[0] == MODALITIES


def test_hidden_modalities_are_as_if_they_were_absent(subject: Subject, tables: Mapping[str, FeatureTable]) -> None:
    gone = Hidden(("text", "audio")).of(tables)
    assert not gone["text"].present.any()
    assert gone["visual"] is tables["visual"]
    other = {
        **tables,
        "text": FeatureTable(gone["text"].names, tables["text"].values * 9, gone["text"].present, gone["text"].reasons),
    }
    hiding = subject.answer(Hidden(("text", "audio")))
    assert (hiding == Subject(subject.predictor, subject.rows, other).answer(Hidden(("audio",)))).all()
    assert (hiding != subject.answer()).any()


def test_shuffling_keeps_presence_and_the_other_columns(tables: Mapping[str, FeatureTable]) -> None:
    after = Shuffled("audio", (1,), (1, 0)).of(tables)["audio"]
    before = tables["audio"]
    assert (after.present == before.present).all()
    assert (after.values[:, [0, 2, 3]] == before.values[:, [0, 2, 3]]).all()
    assert sorted(after.values[after.present, 1]) == sorted(before.values[before.present, 1])
    assert (after.values[:, 1] != before.values[:, 1]).any()


def test_the_subset_with_the_telling_modality_is_best(subject: Subject, measured: Measured) -> None:
    told = {tuple(each["modalities"]): each for each in subset_scores(subject, measured)}
    assert told[MODALITIES]["value"] == pytest.approx(measured.models["early"].value[1], abs=1e-6)
    assert told[MODALITIES]["lost"] == {"value": 0, "low": 0, "high": 0}
    assert told[("audio", "visual", "metadata")]["lost"]["low"] > 0.1
    assert told[("text",)]["value"] > told[("visual",)]["value"] + 0.2


def test_the_telling_modality_and_feature_are_the_important_ones(subject: Subject, measured: Measured) -> None:
    by_modality = modality_importance(subject, measured, seed=1)
    assert max(by_modality, key=lambda name: by_modality[name]["value"] or 0) == "text"
    assert by_modality["text"]["low"] and by_modality["text"]["low"] > 0.1
    by_feature = feature_importance(subject, measured, seed=1)
    assert [each["feature"] for each in by_feature[:2]] == ["text_e*", "audio_b01"]
    assert by_feature[0]["columns"] == 60


def test_an_embedding_is_one_feature_and_others_stand_alone(subject: Subject) -> None:
    found = [name for _, name, _ in features(subject)]
    assert found == [
        "text_e*",
        "audio_a00",
        "audio_b01",
        "audio_c02",
        "audio_d03",
        "visual_a00",
        "visual_b01",
        "visual_c02",
        "metadata_a00",
        "metadata_b01",
    ]


def test_slices_are_named_counted_and_sorted_from_the_worst(
    rows: pd.DataFrame, tables: Mapping[str, FeatureTable]
) -> None:
    # A model that fails where Ross speaks.
    answers = rows["label"].where(rows["speaker"] == "Rachel", "neutral").tolist()
    measured = of(rows, {"early": sure(rows, answers)})
    slices = find_slices(rows, tables, least=10)
    told = slice_scores(measured, slices)["early"]
    assert (told[0]["kind"], told[0]["value"], told[0]["rows"]) == ("speaker", "Ross", COUNT // 2)
    assert [each["weighted_f1"]["value"] for each in told] == sorted(each["weighted_f1"]["value"] for each in told)
    found = {(kind, value): int(chosen.sum()) for kind, value, chosen in slices}
    assert found[("position", "first line")] == found[("position", "last line")] == COUNT // 6
    assert found[("intensity", "strong")] == COUNT // 2
    assert found[("missing", "visual")] == COUNT - tables["visual"].present.sum()
    shifted = [a != b for a, b in zip(rows["label"][1:], rows["label"], strict=False)]
    shifts = sum(shift for number, shift in enumerate(shifted, start=1) if number % 6)
    assert found[("emotion", "other than in the line before")] == shifts
    assert ("text", "1 to 3 words") not in found  # all rows


def test_heard_texts_are_a_slice_where_there_are_some(rows: pd.DataFrame, tables: Mapping[str, FeatureTable]) -> None:
    def named(heard: list[bool]) -> dict[str, int]:
        slices = find_slices(rows.assign(heard=heard), tables, least=10)
        return {value: int(chosen.sum()) for kind, value, chosen in slices if kind == "text"}

    assert named([True] * 40 + [False] * (COUNT - 40)) == {"heard text": 40, "given text": COUNT - 40}
    assert named([False] * COUNT) == {}


def test_small_slices_are_left_out(rows: pd.DataFrame, tables: Mapping[str, FeatureTable]) -> None:
    assert all(chosen.sum() >= 100 for _, _, chosen in find_slices(rows, tables, least=100))


def test_the_calibration_error_of_a_model_that_is_too_sure(rows: pd.DataFrame) -> None:
    answers = rows["label"].tolist()
    answers[: COUNT // 4] = ["joy" if label != "joy" else "anger" for label in answers[: COUNT // 4]]
    actual = pd.Index(LABELS).get_indexer(rows["label"])
    found = calibration(sure(rows, answers, confidence=0.9), actual)
    assert found["expected_calibration_error"] == pytest.approx(0.9 - 0.75)
    assert [each["rows"] for each in found["bins"]] == [COUNT]


@pytest.mark.parametrize("count", [100, 1000])
def test_calibrated_answers_show_the_error_that_is_expected_by_chance(count: int) -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1, count)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    drawn = [calibration(probabilities, (rng.random(count) > confidence).astype(int)) for _ in range(40)]
    errors = [found["expected_calibration_error"] for found in drawn]
    assert drawn[0]["calibration_error_by_chance"] == pytest.approx(np.mean(errors), rel=0.1)
    assert np.mean(errors) > 0.3 * count**-0.5


def test_abstaining_from_unsure_wrong_answers_gains_accuracy(rows: pd.DataFrame) -> None:
    answers = rows["label"].tolist()
    wrong = slice(0, COUNT // 4)
    answers[wrong] = ["joy" if label != "joy" else "anger" for label in answers[wrong]]
    probabilities = sure(rows, answers, confidence=0.9)
    probabilities[wrong] = sure(rows, answers, confidence=0.5)[wrong]
    found = coverage(probabilities, pd.Index(LABELS).get_indexer(rows["label"]))
    by_share = {round(each["coverage"], 2): each["accuracy"] for each in found}
    assert (by_share[0.5], by_share[0.75], by_share[1.0]) == (1, 1, 0.75)


def test_the_surest_mistake_comes_first(rows: pd.DataFrame) -> None:
    probabilities = sure(rows, rows["label"].tolist())
    for row, confidence in ((5, 0.7), (9, 0.9)):
        other = "joy" if rows["label"][row] != "joy" else "anger"
        probabilities[row] = sure(rows, [other], confidence)[0]
    found = mistakes(of(rows, {"early": probabilities}), "early")
    assert [(each["utterance"], each["confidence"]) for each in found] == [(9, 0.9), (5, 0.7)]
    assert np.trace(confusion_counts(of(rows, {"early": probabilities}), "early")) == COUNT - 2


def test_a_model_is_compared_with_every_other(rows: pd.DataFrame) -> None:
    half = rows["label"].where(rows.index % 2 == 0, "neutral").tolist()
    measured = of(rows, {"early": sure(rows, rows["label"].tolist()), "text": sure(rows, half)})
    (pair,) = differences(measured, ["early"], ["early", "text"])
    assert (pair["model"], pair["against"], pair["wins"]) == ("early", "text", 1)
    assert 0 < pair["low"] < pair["value"] < pair["high"]


def test_the_evaluation_gets_what_the_predictor_answers(subject: Subject) -> None:
    answer, weights = subject.predictor.probabilities(subject.tables)
    assert (subject.answer_all() == answer).all()
    assert (subject.weights() == weights).all()
    assert weights.sum(axis=1) == pytest.approx(1)


def test_several_changes_at_once_are_answered_as_each_alone(subject: Subject) -> None:
    changes = [Hidden(), Hidden(("text",)), Shuffled("audio", (1,), (1, 0))]
    for found, change in zip(subject.answers(changes), changes, strict=True):
        np.testing.assert_allclose(found, subject.answer_all(change), atol=1e-6)


def test_a_member_of_several_models_is_asked_once(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = subject.predictor.bundle
    both = Predictor(replace(bundle, members=bundle.members[::-1], weights=(0.75, 0.25)))
    alone = Subject(both, subject.rows, subject.tables).answer_all()
    models = together({"early": subject.predictor, "ensemble": both}, subject.rows, subject.tables)
    models["early"].answer_all()
    monkeypatch.setattr(Subject, "_batch", lambda *_: pytest.fail("asked again"))
    assert (models["ensemble"].answer_all() == alone).all()
    assert (alone != models["early"].answer_all()).any()


def of_words(name: str, subject: Subject) -> Predictor:
    """An untrained model of this name that reads text alone."""
    bundle = subject.predictor.bundle
    words = {part: {"text": getattr(bundle, part)["text"]} for part in ("features", "extractors", "scalers")}
    member = make_model(name, {"text": WIDTHS["text"]}, len(LABELS), bundle.train).eval()
    return Predictor(replace(bundle, name=name, members=[member], **words))


@pytest.fixture(scope="module")
def found(rows: pd.DataFrame, subject: Subject) -> dict[str, Any]:
    alone = of_words("text", subject)
    said = rows.assign(text=np.where(rows.index % 2, "<script>alert('no')</script>", "well I never"), clip="clip.mp4")
    half = said["label"].where(said.index % 2 == 0, "neutral").tolist()
    measured = of(said, {"early": subject.answer(), "text": sure(said, half)})
    subjects = together({"early": subject.predictor, "text": alone}, subject.rows, subject.tables)
    return findings({"dev": measured, "test": measured}, subjects, "early", LOOKED, MARKED)


def material(found: dict[str, Any], layout: str = "demo") -> Material:
    data = {
        "dataset": {"name": "corpus", "layout": layout, "hash": "ab" * 32, "rows": 9, "dialogues": 2, "labelled": 9}
        | {"clips": 8, "splits": {"train": 5, "test": 4}},
        "warnings": ["something is odd"],
        "faults": [],
        "apart": {"by": "dialogue", "headline": "2 of 2 test speakers are in train.", "leaks": True}
        | {"shared": {"test": {"speakers": 2, "speakers_in_train": 2}}},
        "duplicates": {},
        "heard": {"rows": 5, "corrected": 1, "confidence": 0.5, "recogniser": "embedded", "no_words": {}},
        "modalities": {"test": {"text": {"present": 4}}},
    }
    curve = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "held_out_loss": [2.1, 1.5]})
    curves = {"early": curve.assign(held_out_weighted_f1=[0.3, 0.5])}
    about = CORPORA[layout]
    learnt = LearntFrom(
        corpus=about.title, synthetic=about.synthetic, rows=9, languages=about.languages, licence=about.licence
    )
    return Material(
        found, data, {"train.folds": 5}, learnt, learnt, {"early": "cd" * 32, "text": "ef" * 32}, curves, {}, MET
    )


def test_the_findings_are_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(intervals(found)["scores"]["test"]) == {"early", "text"}


def test_a_fusion_is_what_reads_several_modalities_and_no_single_one(found: dict[str, Any]) -> None:
    assert (found["fusions"], found["best_single"]) == (["early"], "text")
    assert list(found["subsets"]) == ["early"]


@pytest.mark.parametrize(("metric", "best"), [("weighted_f1", "careful"), ("unweighted_recall", "fair")])
def test_dev_chooses_by_the_metric_that_was_asked_for(rows: pd.DataFrame, metric: Metric, best: str) -> None:
    rare = rows["label"] == "anger"
    # One misses the rare class, the other gives away some of the common ones for it.
    answers = {
        "careful": rows["label"].mask(rare, "neutral").tolist(),
        "fair": rows["label"].mask(~rare & (rows.index % 9 < 4), "anger").tolist(),
    }
    probabilities = {name: sure(rows, each) for name, each in answers.items()}
    scores = Scores(LABELS, rows.assign(split="dev"), probabilities, metric)
    assert scores.champion == best
    assert best_single({"dev": of(rows, probabilities)}, list(answers), metric) == best


def test_a_fusion_of_the_one_modality_that_the_data_has_is_still_a_fusion(rows: pd.DataFrame, subject: Subject) -> None:
    models = {name: of_words(name, subject) for name in ("early", "text")}
    subjects = together(models, subject.rows, subject.tables)
    measured = of(rows, {name: asked.answer() for name, asked in subjects.items()})
    found = findings({"dev": measured, "test": measured}, subjects, "early", LOOKED, {})
    assert (found["fusions"], found["best_single"]) == (["early"], "text")


def test_the_page_asks_for_nothing_and_runs_nothing_that_was_said(found: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", material(found))
    page = (tmp_path / "report.html").read_text()
    assert "The built-in corpus is synthetic" in page
    assert f'<p class="warning">{MET[0]}.</p>' in page
    assert '<p class="warning">2 of 2 test speakers are in train.</p>' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    loaded = re.findall(r"(?:src|url\(|<link[^>]*href)=?[\"'(]?([^\"')> ]+)", page)
    assert all(address.startswith("data:") for address in loaded)
    assert f"{found['scores']['test']['early']['weighted_f1']['value']:.3f}" in page
    assert "2.0% of the held-out rows (which the threshold was set by), 1.5% of dev, 4.0% of test" in page


def test_the_page_of_other_data_does_not_call_it_synthetic(found: dict[str, Any], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", material(found, layout="meld"))
    assert "synthetic" not in (tmp_path / "report.html").read_text()


def test_the_card_says_what_it_is_for_and_how_sure_it_is(found: dict[str, Any], tmp_path: Path) -> None:
    write_card(tmp_path / "card.md", material(found))
    card = (tmp_path / "card.md").read_text()
    score = found["scores"]["test"]["early"]["weighted_f1"]
    assert f"| weighted F1 | {score['value']:.3f} | {score['low']:.3f} to {score['high']:.3f} |" in card
    assert f"| unweighted recall (UAR) | {found['scores']['test']['early']['unweighted_recall']['value']:.3f} |" in card
    for heading in ("Model", "Intended use", "Data", "Metrics", "Where it fails", "Caveats"):
        assert f"\n## {heading}\n" in card
    assert "not a reading of inner feeling" in " ".join(card.split())
    assert "are cut by dialogue.\n**2 of 2 test speakers are in train.**" in card
    assert "| real or synthetic | synthetic: drawn faces and a synthetic voice |" in card
    assert "| people | not named |" in card
    assert "False alarms: 1.5% of dev, 4.0% of test; 2.0% of the held-out" in card
    assert "None" not in card
    assert "4 were heard by the recogniser `embedded` (mean confidence 0.500), 1 corrected or put in by people." in card
    assert f"- **{MET[0]}.**" in card
    write_card(tmp_path / "meld.md", material(found, layout="meld"))
    assert "bind what was learnt from it; they are GPL-3.0: https" in (tmp_path / "meld.md").read_text()


def test_a_thumbnail_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", size=(640, 360))
    (tmp_path / "text.mp4").write_text("no clip")
    clips = ["clip.mp4", "text.mp4", "gone.mp4", None]
    first = thumbnails(clips, tmp_path)
    assert first == thumbnails(clips, tmp_path)
    assert list(first) == ["clip.mp4"]
    encoded = base64.b64decode(first["clip.mp4"].split(",")[1])
    assert cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).shape == (108, 192, 3)


def test_the_middle_frame_is_from_the_middle(tmp_path: Path) -> None:
    shade = middle_frame(write_clip(tmp_path / "clip.mp4", seconds=2), 80).mean()  # it brightens from 0 to 255
    assert 100 < shade < 155


def test_rows_far_from_all_training_rows_are_counted_on_each_split(subject: Subject) -> None:
    split = ["dev" if number % 2 else "test" for number in range(COUNT)]
    far = {**subject.tables, "audio": replace(subject.tables["audio"], values=subject.tables["audio"].values.copy())}
    loud = far["audio"].present & (np.array(split) == "test")
    far["audio"].values[loud] += 9
    manifest = pd.concat([subject.rows.assign(split="train"), subject.rows.assign(split=split)], ignore_index=True)
    tables = {name: FeatureTable.join([subject.tables[name], table]) for name, table in far.items()}
    scores = score_models({"early": subject.predictor}, manifest, tables, "weighted_f1")
    shares = scores.unfamiliar_shares()["early"]
    assert shares["dev"] <= 0.05
    assert shares["test"] >= loud.sum() / split.count("test") > 0.8


def test_the_card_of_classifiers_from_elsewhere_says_what_they_are_and_that_the_data_is_synthetic(
    found: dict[str, Any], tmp_path: Path
) -> None:
    words = PretrainedClassifier(
        modality="text", name="owner/model", sha256="ab", learnt_from="GoEmotions", licence="Apache-2.0"
    )
    made = replace(material(found), learnt_from=LearntFrom(classifiers=(words,)))
    write_card(tmp_path / "card.md", made)
    card = (tmp_path / "card.md").read_text()
    assert "but on other data, elsewhere: text by owner/model (GoEmotions; licence: Apache-2.0)." in card
    assert "| corpus |" not in card and "**The built-in corpus is synthetic**" in card
    write_report(tmp_path / "report.html", made)
    assert "early was trained on other data, elsewhere: text by owner/model" in (tmp_path / "report.html").read_text()
