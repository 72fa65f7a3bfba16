"""Stage text: the manifest's words to features/text.parquet."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from emofuse.core.errors import guard
from emofuse.core.params import TextParams, load_params
from emofuse.core.paths import FEATURES_DIR, FINETUNED_DIR
from emofuse.core.reasons import Cause
from emofuse.core.records import Extracted
from emofuse.core.tables import read_features, read_manifest, utterances, write_features
from emofuse.extraction.content import text_content
from emofuse.extraction.run import Task, extract
from emofuse.features.contract import Extractor


def make(params: TextParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.core.device import pick_device
    from emofuse.features.text.extractor import TextExtractor

    return TextExtractor(params, pick_device())


def main() -> None:
    """Encode the text of every utterance."""
    params = load_params()
    manifest = read_manifest()
    task = Task("text", params.text, partial(make, params.text), partial(text_content, params.text))
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    path = FEATURES_DIR / "text.parquet"
    extract(task, rows, manifest, path, params.extract)
    if params.text.finetune.epochs:
        add_finetuned(path, manifest)


def add_finetuned(path: Path, manifest: pd.DataFrame) -> None:
    """Put the columns that the stage finetune made beside the others."""
    plain, finetuned = (read_features("text", manifest, folder) for folder in (FEATURES_DIR, FINETUNED_DIR))
    causes = [Cause.parse(reason) if reason else None for reason in plain.reasons]
    columns = zip(plain.present, causes, np.hstack([plain.values, finetuned.values]), strict=True)
    rows = (Extracted(values if present else None, cause) for present, cause, values in columns)
    write_features(path, manifest, (*plain.names, *finetuned.names), rows)


if __name__ == "__main__":
    with guard():
        main()
