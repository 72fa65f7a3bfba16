"""What a layout gives: rows as found, before anything is derived or checked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.rows import AS_READ


@dataclass(frozen=True)
class RawRows:
    """The rows of a data set as a layout found them.

    Attributes:
        frame: a row an utterance, with any of `core.rows.AS_READ` as strings, and `issues`, a list of what is wrong
            with the row.
        notes: what is to be said of the tables as a whole.
    """

    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    def completed(self) -> pd.DataFrame:
        """The frame with every column: those that the layout doesn't know hold their default.

        Raises:
            DataError: there is another column.
        """
        frame = self.frame.reset_index(drop=True).copy()
        if others := sorted(set(frame) - {*AS_READ, "issues"}):
            raise DataError(f"the layout gave the columns {', '.join(others)}, expected any of {', '.join(AS_READ)}")
        if "row" not in frame:
            frame["row"] = range(1, len(frame) + 1)
        for name, default in AS_READ.items():
            if name not in frame:
                frame[name] = pd.Series([default] * len(frame), dtype=object, index=frame.index)
            elif frame[name].isna().any():  # torn rows, and those of a table without the column beside one with it
                frame[name] = frame[name].astype(object).where(frame[name].notna(), default)
        if "issues" not in frame:
            frame["issues"] = [[] for _ in range(len(frame))]
        return frame
