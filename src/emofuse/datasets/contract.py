"""The manifest as a contract: what every layout's rows hold once they are read."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from emofuse.core.errors import DataError, listed
from emofuse.core.records import KEY, PREDICT, SPLITS

CONTRACT = pa.DataFrameSchema(
    {
        "split": pa.Column(checks=pa.Check.isin([*SPLITS, PREDICT])),
        "dialogue": pa.Column(checks=pa.Check.str_length(min_value=1)),
        "utterance": pa.Column("int64"),
        "clip": pa.Column(nullable=True, checks=pa.Check.str_matches(r"^(?!/)(?!.*(^|/)\.\.(/|$))")),
        "clip_sha256": pa.Column(nullable=True, checks=pa.Check.str_matches(r"^[0-9a-f]{64}$")),
        "text": pa.Column(),
        "clean_text": pa.Column(),
        "speaker": pa.Column(),
        "start": pa.Column(float, nullable=True, checks=pa.Check.ge(0)),
        "end": pa.Column(float, nullable=True, checks=pa.Check.ge(0)),
        "position": pa.Column(nullable=True, checks=pa.Check.ge(0)),
        "dialogue_length": pa.Column(nullable=True, checks=pa.Check.ge(1)),
        "label": pa.Column(nullable=True, checks=pa.Check.str_length(min_value=1)),
        "row_id": pa.Column(),
        "source": pa.Column(),
        "row": pa.Column("int64", checks=pa.Check.ge(0)),
        "issues": pa.Column(object),
    },
    checks=pa.Check(
        lambda frame: frame["position"].isna() | (frame["position"] < frame["dialogue_length"]),
        error="position inside the dialogue",
    ),
    unique=KEY,
    strict=True,
)


def validate(manifest: pd.DataFrame) -> None:
    """Check a manifest against the contract.

    Raises:
        DataError: a layout gave rows that break it; all breaches are named at once.
    """
    try:
        CONTRACT.validate(manifest, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.groupby(["column", "check"], dropna=False, sort=False).first().reset_index()
        problems = [
            f"{case['column']}: found {case['failure_case']!r}, expected {case['check']}"
            for _, case in cases.iterrows()
        ]
        raise DataError(f"the layout's rows break the manifest's contract\n{listed(problems)}") from None
