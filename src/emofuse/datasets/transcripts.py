"""data/transcripts.csv: what was heard in the sound of utterances, which people may correct.

The stage that writes it leaves the file where it is (`persist` in dvc.yaml), so that corrections stay in the one table
that people look at; a second file for them would have to be kept in step by hand. A row is corrected where `text` is
not what was `heard`. Such a row is never removed or changed, even while its clip is not in the manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emofuse.core.errors import DataError, listed
from emofuse.core.params import TextParams
from emofuse.core.reasons import Cause
from emofuse.core.records import KEY
from emofuse.core.tables import write_csv
from emofuse.core.text import clean_text
from emofuse.datasets.user_tables import read_user_table

WORDS = ["text", "heard", "confidence", "start", "end", "words", "reason"]
COLUMNS = [*KEY, *WORDS, "clip_sha256"]
NEEDED = [*KEY, "text", "heard"]
SHOWN = 20  # rows of whose words the recogniser is least sure
PLACE = [*KEY, "clip_sha256"]  # a correction is of a clip's words: another clip in the row has others


def read_transcripts(path: Path) -> pd.DataFrame:
    """Read the table, with `COLUMNS`, all of them strings; an empty one where there is no file.

    Raises:
        DataError: it is no table, lacks a column, or has rows whose cells can't be told apart; nothing is changed.
    """
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS, dtype=str).astype({"utterance": "int64"})
    table = read_user_table(path, NEEDED, [name for name in COLUMNS if name not in NEEDED])
    problems = [f"row {number}: {'; '.join(issues)}" for number, issues in enumerate(table.issues, 1) if issues]
    frame = pd.DataFrame({name: table.column(name) if table.has(name) else "" for name in COLUMNS}, dtype=str)
    numbers = frame["utterance"].str.fullmatch(r"\s*-?\d+(\.0+)?\s*")
    problems += [f"row {row + 1}: utterance is {frame.at[row, 'utterance']!r}, expected a number"
                 for row in frame.index[~numbers.astype(bool)]]  # fmt: skip
    twice = frame.duplicated(PLACE, keep=False)
    problems += [f"row {row + 1}: its utterance stands in several rows" for row in frame.index[twice]]
    if problems:
        raise DataError(f"{path}: mend these rows, which stay as they are\n{listed(problems)}")
    return frame.assign(utterance=frame["utterance"].astype(float).astype("int64"))


def corrected(transcripts: pd.DataFrame) -> pd.Series:
    """Which rows people have corrected."""
    marks: pd.Series = transcripts["text"].str.split().str.join(" ") != transcripts["heard"].str.split().str.join(" ")
    return marks


def update_transcripts(path: Path, heard: pd.DataFrame) -> pd.DataFrame:
    """Write what was heard now, with the corrections that the file holds.

    Args:
        path: of the table.
        heard: rows with `COLUMNS`, as strings but for the utterance's number.

    Returns:
        What was written.

    Raises:
        DataError: as `read_transcripts`.
    """
    before = read_transcripts(path)
    kept = before[corrected(before)]
    # A row that was put in by hand may leave the clip's hash out: it is for whatever clip stands there.
    full = kept.merge(heard[PLACE], on=KEY, how="left", suffixes=("", "_now"))
    kept = kept.assign(
        clip_sha256=full["clip_sha256"].where(full["clip_sha256"] != "", full["clip_sha256_now"]).fillna("").to_numpy()
    )
    corrections = dict(zip(_places(kept), zip(kept["text"], kept["heard"], strict=True), strict=True))
    places = _places(heard)
    texts, firsts = [], []
    for place, text, new in zip(places, heard["text"], heard["heard"], strict=True):
        mended, first = corrections.get(place, (text, new))
        texts.append(mended)
        # Where it is heard now as it was corrected to be, what was heard before stays, so that it stays a correction.
        firsts.append(first if mended.split() == new.split() else new)
    here = set(places)
    gone = kept[[place not in here for place in _places(kept)]]
    table = pd.concat([heard.assign(text=texts, heard=firsts), gone])[COLUMNS].sort_values(PLACE, ignore_index=True)
    write_csv(path, table)
    return table


def _places(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame[PLACE].itertuples(index=False, name=None))


def add_transcripts(manifest: pd.DataFrame, path: Path, when: str) -> pd.DataFrame:
    """The manifest with the words that were heard or corrected; `heard` says which rows have such.

    Args:
        manifest: n rows.
        path: of the transcripts.
        when: `never`; `missing` for rows without a text of their own; or `always`.

    Raises:
        DataError: as `read_transcripts`.
    """
    transcripts = read_transcripts(path)
    if when == "never" or transcripts.empty:
        return manifest.assign(heard=False)
    # Words count where someone has heard or corrected them, or where it is known that there are none.
    transcripts = transcripts[(transcripts["heard"] != "") | corrected(transcripts) | (transcripts["reason"] == "")]
    words = dict(zip(_places(transcripts), transcripts["text"], strict=True))
    places = _places(manifest.assign(clip_sha256=manifest["clip_sha256"].fillna("")))
    asked = (manifest["text"].str.strip() == "") | (when == "always")
    result = [words.get(place) if wanted else None for place, wanted in zip(places, asked, strict=True)]
    texts = [text if new is None else new for text, new in zip(manifest["text"], result, strict=True)]
    return manifest.assign(text=texts, clean_text=[clean_text(text) for text in texts], heard=[*map(bool, result)])


def transcript_findings(manifest: pd.DataFrame, path: Path, params: TextParams) -> dict[str, Any]:
    """What the data report says of words that were heard, as JSON.

    Args:
        manifest: n rows, as in `add_transcripts`.
        path: of the transcripts.
        params: which rows are heard, and by whom; `recogniser` may be None where people put words in.

    Raises:
        DataError: as `read_transcripts`.
    """
    when = params.transcribe
    rows = add_transcripts(manifest, path, when)
    transcripts = read_transcripts(path)
    transcripts["mended"] = corrected(transcripts)
    places = rows[PLACE].assign(clip_sha256=rows["clip_sha256"].fillna(""), used=rows["heard"])
    table = places.merge(transcripts, on=PLACE, how="inner")
    used, silent = table[table["used"]], table[~table["used"] & (table["reason"] != "") & (when != "never")]
    sure = used[~used["mended"]].assign(confidence=lambda own: pd.to_numeric(own["confidence"], errors="coerce"))
    least = sure.sort_values(["confidence", *PLACE]).head(SHOWN)
    reasons = pd.Series([Cause.parse(reason).kind for reason in silent["reason"]], dtype=object).value_counts()
    return {
        "recogniser": params.recogniser,
        "rows": len(used),
        "corrected": int(used["mended"].sum()),
        "confidence": round(float(sure["confidence"].mean()), 3) if sure["confidence"].notna().any() else None,
        "no_words": {str(reason): int(count) for reason, count in reasons.items()},
        "least_sure": [
            {**dict(zip(KEY, row[:3], strict=True)), "text": row[3], "confidence": row[4]}
            for row in least[[*KEY, "text", "confidence"]].astype(object).itertuples(index=False, name=None)
        ],
    }
