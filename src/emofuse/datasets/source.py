"""What a layout gives: rows as found, before anything is derived or checked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

COLUMNS = {
    "split": "train",  # train, dev, test, or predict for rows that only get predictions
    "dialogue": None,  # None: the row stands alone
    "utterance": None,  # its number in the dialogue; None: after those that have one
    "clip": None,  # path relative to the data root, as found
    "text": "",
    "speaker": "",
    "start": "",  # seconds or a clock time, as found
    "end": "",
    "label": "",
    "row_id": None,  # names the row in a submission; None: its number
    "source": "",  # the file that holds the row
    "row": None,  # its number in that file, from 1, the header not counted; None: its number in the frame
}


@dataclass(frozen=True)
class Source:
    """The rows of a data set as a layout found them.

    Attributes:
        frame: a row an utterance, with any of `COLUMNS` as strings, and `issues`, a list of what is wrong with the row.
        notes: what is to be said of the tables as a whole.
    """

    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    def completed(self) -> pd.DataFrame:
        """The frame with every column: those that the layout doesn't know hold their default."""
        frame = self.frame.reset_index(drop=True).copy()
        if "row" not in frame:
            frame["row"] = range(1, len(frame) + 1)
        for name, default in COLUMNS.items():
            if name not in frame:
                frame[name] = pd.Series([default] * len(frame), dtype=object, index=frame.index)
        if "issues" not in frame:
            frame["issues"] = [[] for _ in range(len(frame))]
        return frame
