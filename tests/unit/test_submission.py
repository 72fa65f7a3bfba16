from __future__ import annotations

import pytest

from emofuse.evaluation.submission import submission_names


@pytest.mark.parametrize(
    ("id_column", "name"), [(None, "row"), ("Sr No.", "Sr No."), ("predicted", "predicted"), ("label", "input_label")]
)
def test_a_users_id_never_shares_a_heading_with_the_answer(id_column: str | None, name: str) -> None:
    assert list(submission_names(id_column).values()) == [name, "label"]
