"""The plan of the built-in corpus: labels, channels, flaws and lines."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from demo_corpus.lines import LINES
from demo_corpus.plan import CHANNELS, FLAWS, SHARES, SPLITS, plan_corpus, quotas
from demo_corpus.script import draw_line
from emofuse.core.errors import ParamsError

PLAN = plan_corpus(60, 400, seed=13)


def rows(split: str) -> list[str]:
    return [line.emotion for line in PLAN if line.split == split]


def test_the_plan_has_the_wanted_size() -> None:
    assert len(PLAN) == 400
    assert len({(line.split, line.dialogue) for line in PLAN}) == 60


def test_dialogue_ids_restart_in_every_split() -> None:
    for split in SPLITS:
        ids = {line.dialogue for line in PLAN if line.split == split}
        assert ids == set(range(len(ids)))


def test_labels_are_as_unbalanced_as_melds() -> None:
    counts = Counter(line.emotion for line in PLAN)
    for emotion, share in SHARES.items():
        assert counts[emotion] / 400 == pytest.approx(share, abs=0.015)


def test_every_split_has_every_label() -> None:
    assert all(set(rows(split)) == set(SHARES) for split in SPLITS)


def test_each_channel_shows_the_label_as_often_as_planned() -> None:
    for channel in ("voice", "face"):
        trust = CHANNELS[channel]
        shown = np.mean([getattr(line, channel) == line.emotion for line in PLAN])
        # A neutral line that shows neutral is right either way.
        assert trust.true - 0.02 < shown < trust.true + trust.neutral * SHARES["neutral"] + 0.05


def test_channels_mislead_independently() -> None:
    wrong = np.array([(line.voice != line.emotion, line.face != line.emotion) for line in PLAN], float)
    assert abs(np.corrcoef(wrong.T)[0, 1]) < 0.15


def test_emotions_have_inertia() -> None:
    pairs = [(a, b) for a, b in pairwise(PLAN) if b.utterance == a.utterance + 1]
    moved = [(a.emotion, b.emotion) for a, b in pairs if a.emotion != "neutral"]
    kept = np.mean([before == after for before, after in moved])
    by_chance = sum((SHARES[emotion]) ** 2 for emotion in SHARES if emotion != "neutral") / (1 - SHARES["neutral"])
    assert kept > by_chance + 0.1


@pytest.mark.parametrize("flaw", FLAWS)
def test_every_split_has_every_flaw(flaw: str) -> None:
    assert {line.split for line in PLAN if line.flaw == flaw} == set(SPLITS)


def test_the_text_is_empty_only_where_planned() -> None:
    assert all((line.text == "") == (line.flaw == "no_text") and line.spoken for line in PLAN)


def test_lines_seldom_repeat() -> None:
    assert len({line.spoken for line in PLAN}) > 380


def test_the_seed_changes_the_plan() -> None:
    assert plan_corpus(60, 400, seed=14) != PLAN


def test_a_tiny_corpus_can_be_learned() -> None:
    plan = plan_corpus(6, 24, seed=0)
    assert len(plan) == 24
    assert {line.split for line in plan} == set(SPLITS)
    counts = Counter(line.emotion for line in plan if line.split == "train")
    assert len(counts) >= 2
    assert min(counts.values()) >= 3


@pytest.mark.parametrize(("dialogues", "utterances"), [(2, 40), (10, 19)])
def test_too_small_a_corpus_is_refused(dialogues: int, utterances: int) -> None:
    with pytest.raises(ParamsError, match=f"found {dialogues} dialogues and {utterances} utterances"):
        plan_corpus(dialogues, utterances, seed=0)


def test_quotas_add_up_and_hold_the_least() -> None:
    counts = quotas(20, {"a": 0.9, "b": 0.08, "c": 0.02}, least=2)
    assert sum(counts.values()) == 20
    assert min(counts.values()) == 2


@pytest.mark.parametrize("emotion", LINES)
def test_a_line_has_no_open_slot(emotion: str) -> None:
    rng = np.random.default_rng(0)
    lines = [draw_line(emotion, rng, set()) for _ in range(200)]
    assert not any("{" in line or "'" in line or line[0].islower() for line in lines)
