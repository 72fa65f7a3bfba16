"""What classifiers call emotions, and how their answers are pooled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emofuse.core.emotion_words import USUAL, class_of, is_emotion_word
from emofuse.core.errors import ParamsError
from emofuse.core.params import Params
from emofuse.fusion.base import Batch
from emofuse.fusion.classifiers import label_maps
from emofuse.fusion.opinion_pool import FLOOR, PretrainedPool
from tests.classifiers import FACES, SOUNDS, WORDS, with_classifiers

MELD = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
GOEMOTIONS = (
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire"),
    *("disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy"),
    *("love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
)
RAVDESS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
HSEMOTION = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")


@pytest.mark.parametrize("labels", [WORDS, SOUNDS, FACES, GOEMOTIONS, RAVDESS, HSEMOTION], ids=len)
def test_the_labels_of_well_known_classifiers_are_classes_of_meld(labels: tuple[str, ...]) -> None:
    assert all(map(is_emotion_word, labels))
    unmapped = [label for label in labels if class_of(label, MELD) is None]
    assert unmapped in ([], ["Contempt"])
    assert USUAL == MELD


def test_goemotions_are_grouped_as_in_its_paper() -> None:
    groups = {name: [label for label in GOEMOTIONS if class_of(label, MELD) == name] for name in MELD}
    assert {name: len(own) for name, own in groups.items()} == {
        **{"anger": 3, "disgust": 1, "fear": 2, "joy": 12, "neutral": 1, "sadness": 5, "surprise": 4}
    }


@pytest.mark.parametrize(
    ("label", "classes", "wanted"),
    [
        ("hap", ("happy", "sad"), "happy"),
        ("Happiness", ("Joyful", "Mad"), "Joyful"),
        ("exc", ("excited", "happy"), "excited"),
        ("excitement", ("exc", "hap"), "exc"),
        ("excited", ("happy", "sad"), "happy"),
        ("calm", ("calm", "neutral"), "calm"),
        ("calm", ("neu", "sad"), "neu"),
        ("Bored", ("bored", "anger"), "bored"),
        ("disgust", ("anger", "joy"), None),
        ("rubbish", ("anger", "joy"), None),
    ],
)
def test_a_label_is_the_nearest_class_that_means_it(label: str, classes: tuple[str, ...], wanted: str | None) -> None:
    assert class_of(label, classes) == wanted


def params_of(params: Params, **changes: object) -> Params:
    return with_classifiers(params, **{"text": "words", "audio": "sounds", **changes})


def test_labels_are_mapped_by_the_params_before_the_words(params: Params) -> None:
    given = {"LABEL_0": "joy", "LABEL_1": None, "ang": "Disgust"}
    maps = label_maps(params_of(params, labels=given), {"text": ("LABEL_0", "LABEL_1"), "audio": SOUNDS}, MELD)
    assert maps["text"].T.tolist() == [[name == "joy" for name in MELD], [False] * 7]
    assert [MELD[column.argmax()] for column in maps["audio"].T] == ["neutral", "joy", "disgust", "sadness"]


def test_all_that_is_wrong_with_labels_is_told_at_once(params: Params) -> None:
    wrong = params_of(params, visual="faces", labels={"happi": "joy", "sad": "gloom"})
    labels = {"text": ("LABEL_0", "LABEL_1"), "audio": ("sad", "smug", "neu"), "visual": ("bored", "contempt")}
    with pytest.raises(ParamsError) as raised:
        label_maps(wrong, labels, MELD)
    message = str(raised.value)
    assert "pretrained.labels names happi, but the classifiers' labels are LABEL_0, LABEL_1, bored" in message
    assert "pretrained.labels says that sad is gloom, but the data's classes are anger, disgust, fear" in message
    assert "pretrained.text 'words' doesn't name its classes; say in pretrained.labels which class" in message
    assert "{LABEL_0: anger, LABEL_1: null}" in message
    assert "pretrained.audio 'sounds' has the labels smug, which nobody mapped; say in pretrained.labels" in message
    assert "pretrained.visual 'faces' has the labels bored, contempt, none of which is a class of the data" in message
    assert message.count("\n") == 5


def test_weights_that_are_not_of_the_classifiers_are_a_mistake(params: Params) -> None:
    for weights in ({"text": 1.0}, {"text": 0.0, "audio": 0.0}, {"text": 1.0, "visual": 1.0}):
        with pytest.raises(ValueError, match=r"weights names .*there are classifiers of text, audio"):
            params_of(params, weights=weights)
    assert params_of(params, weights={"text": 1.0, "audio": 0.0}).pretrained.named == {
        "text": "words",
        "audio": "sounds",
    }
    with pytest.raises(ValueError, match="there are classifiers of nothing"):
        with_classifiers(params, weights={"text": 1.0})


CLASSES = ("anger", "joy", "neutral", "terror")  # of which nobody has a label for the last


def pool(weights: tuple[float, ...] = (1.0, 1.0)) -> PretrainedPool:
    """Text knows anger, joy and neutral, and one label more; audio knows anger and joy."""
    made = PretrainedPool({"text": 4, "audio": 2}, 4)
    text, audio = torch.zeros(4, 4), torch.zeros(4, 2)
    text[[0, 1, 2], [0, 1, 2]] = 1
    audio[[0, 1], [0, 1]] = 1
    made.set_maps({"text": text, "audio": audio})
    made.set_weights(weights)
    return made.eval()


def batch(text: list[float] | None, audio: list[float] | None) -> Batch:
    inputs = {"text": torch.tensor([text or [0.0] * 4]), "audio": torch.tensor([audio or [0.0] * 2])}
    return Batch(inputs, torch.tensor([[text is not None, audio is not None]]))


def test_a_classifier_alone_answers_as_it_does() -> None:
    answer = pool()(batch([0.7, 0.2, 0.1, 0.0], None)).softmax(dim=1)[0]
    assert answer[:3].tolist() == pytest.approx([0.7, 0.2, 0.1], abs=2 * FLOOR)


def test_what_nobody_has_a_label_for_stays_possible() -> None:
    for rows in (batch([1.0, 0.0, 0.0, 0.0], None), batch([1.0, 0.0, 0.0, 0.0], [1.0, 0.0])):
        answer = pool()(rows).softmax(dim=1)[0]
        assert answer.argmax() == 0 and 0 < answer[3] <= 2 * FLOOR


def test_what_one_has_no_label_for_is_left_to_the_others() -> None:
    opinions = pool().opinions(batch([0.0, 0.1, 0.9, 0.0], [0.5, 0.5]))[0]
    assert opinions[1, :3].tolist() == pytest.approx([1 / 3] * 3, abs=2 * FLOOR)
    answer = pool()(batch([0.0, 0.1, 0.9, 0.0], [0.6, 0.4])).softmax(dim=1)[0]
    assert answer.argmax() == 2


def test_labels_that_are_no_class_say_nothing_of_the_classes() -> None:
    opinions = pool().opinions(batch([0.04, 0.0, 0.0, 0.96], None))[0, 0]
    assert opinions[0] == pytest.approx(0.36, abs=2 * FLOOR)
    several = pool().opinions(batch([0.9, 0.9, 0.0, 0.9], None))[0, 0]  # of a classifier by which several may hold
    assert several[:2].tolist() == pytest.approx([0.5, 0.5], abs=2 * FLOOR)


def test_nothing_present_is_no_opinion_and_absence_moves_nothing() -> None:
    assert pool()(batch(None, None)).softmax(dim=1)[0].tolist() == pytest.approx([0.25] * 4)
    both = Batch({n: v.repeat(2, 1) for n, v in batch([0.7, 0.2, 0.1, 0], [0.1, 0.9]).inputs.items()},
                 torch.tensor([[True, True], [True, False]]))  # fmt: skip
    answers = pool()(both).softmax(dim=1)
    assert answers[1].tolist() == pytest.approx(pool()(batch([0.7, 0.2, 0.1, 0], None)).softmax(dim=1)[0].tolist())
    assert answers[0].argmax() == 1
    assert pool((3.0, 1.0)).modality_weights(both).tolist() == [[0.75, 0.25], [1.0, 0.0]]


def test_a_modality_of_no_weight_still_answers_where_it_is_alone() -> None:
    silent = pool((0.0, 1.0))
    alone = batch([0.05, 0.9, 0.05, 0.0], None)
    assert silent.modality_weights(alone).tolist() == [[1.0, 0.0]]
    assert silent(alone).softmax(dim=1)[0, 1] == pytest.approx(0.9, abs=2 * FLOOR)
    assert silent(batch([0.05, 0.9, 0.05, 0.0], [0.8, 0.2])).argmax() == 0


def test_a_row_is_the_same_to_the_bit_in_any_batch() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 33).astype(np.float32)
    sounds = np.random.default_rng(1).dirichlet(np.ones(2), 33).astype(np.float32)
    whole = Batch({"text": torch.from_numpy(rows), "audio": torch.from_numpy(sounds)}, torch.ones(33, 2, dtype=bool))
    with torch.inference_mode():
        together = pool((0.3, 0.7))(whole)
        for number in (0, 7, 32):
            alone = pool((0.3, 0.7))(whole.rows(slice(number, number + 1)))
            assert torch.equal(alone[0], together[number])
