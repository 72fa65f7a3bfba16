"""Why a modality is absent: the text of a cause gives the cause back."""

from __future__ import annotations

import pickle

import pytest

from emofuse.core.errors import MediaError
from emofuse.core.reasons import HOLE, Cause, Reason


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("detail", ["Invalid data found: a/b.mp4", "3.2", "two\nlines {}", "ÿ"])
def test_the_text_of_a_cause_gives_it_back(reason: Reason, detail: str) -> None:
    cause = Cause(reason, detail if HOLE in reason else "")
    assert Cause.parse(str(cause)) == cause


def test_other_text_is_kept_as_it_is() -> None:
    assert str(Cause.parse("gone fishing")) == "gone fishing"
    assert Cause.parse("clip path leaves the data root by a link: a").reason is Reason.CLIP_LINKED_OUTSIDE


def test_kinds_are_counted_without_what_differs_from_row_to_row() -> None:
    assert Cause(Reason.UNDECODABLE, "Invalid data").kind == "can't be decoded"
    assert Cause(Reason.CLIP_NOT_FOUND, "a.mp4").kind == "clip not found"
    assert Cause(Reason.TOO_LONG, "600").kind == "longer than 600 s; cut it into utterances"


def test_an_error_of_a_clip_survives_the_way_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(MediaError(Reason.TOO_LONG, "600")))
    assert str(error) == "longer than 600 s; cut it into utterances"
    assert error.cause == Cause(Reason.TOO_LONG, "600")
