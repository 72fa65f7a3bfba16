"""EmoryNLP (Zahiri and Choi, AAAI Workshop on Affective Content Analysis, 2018): the words of a television series.

Three JSON files, one a split, of 97 episodes, 897 scenes and 12,606 utterances; a scene is a dialogue. Source:
github.com/emorynlp/emotion-detection, Apache-2.0 for the repository; the lines are the series'. There is no sound and
no picture.

The split is by episode and is kept; papers report weighted F1 over the seven classes on test. Known faults: the
authors themselves call the agreement of the raters not the greatest; MELD is of the same series, so that its episodes
overlap with these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.datasets.meld import existing, find_below
from emofuse.datasets.raw_rows import RawRows

FILES = {
    "train": "emotion-detection-trn.json",
    "dev": "emotion-detection-dev.json",
    "test": "emotion-detection-tst.json",
}
LABELS = {"joyful": "joy", "mad": "anger", "sad": "sadness", "scared": "fear"}  # the others are called so here too
NUMBER = re.compile(r".*_u(\d+)")


def read_emorynlp(params: IngestParams) -> RawRows:
    """Read the three files, in the root or up to two folders below it.

    Raises:
        DataError: the root or a file is missing, or one is not laid out as published.
    """
    root = existing(params.root, f"the folder that holds {FILES['train']}")
    paths = {split: find_below(root, name) for split, name in FILES.items()}
    absent = [FILES[split] for split, path in paths.items() if path is None]
    if absent:
        raise DataError(f"{root}: found no {', no '.join(absent)}; get them from github.com/emorynlp/emotion-detection")
    rows = [row for split, path in paths.items() if path is not None for row in _rows(path, split)]
    return RawRows(pd.DataFrame(rows))


def _rows(path: Path, split: str) -> Iterator[dict[str, Any]]:
    try:
        episodes = json.loads(path.read_text(encoding="utf-8"))["episodes"]
        scenes = [scene for episode in episodes for scene in episode["scenes"]]
        lines = [(scene["scene_id"], line) for scene in scenes for line in scene["utterances"]]
        for number, (scene, line) in enumerate(lines, 1):
            place = NUMBER.fullmatch(line["utterance_id"])
            yield {
                "split": split,
                "dialogue": scene,
                "utterance": place[1] if place else None,
                "text": line["transcript"],
                "speaker": ", ".join(line["speakers"]),
                "label": LABELS.get(line["emotion"].lower(), line["emotion"]),
                "source": path.name,
                "row": number,
            }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected episodes, scenes and utterances as published; {error!r}. Get it anew"
        ) from None
