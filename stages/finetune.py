"""Stage finetune: the text encoder trained end to end on the labels, to models/finetuned/."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd

from emofuse.core.errors import guard
from emofuse.core.params import Params, load_params
from emofuse.core.paths import FINETUNED_DIR
from emofuse.core.records import Extracted
from emofuse.core.tables import label_order, read_manifest, utterances, write_features, write_json


def main() -> None:
    """Train the encoders, unless `text.finetune.epochs` is 0, and write what they say of every row of the manifest."""
    params = load_params()
    shutil.rmtree(FINETUNED_DIR, ignore_errors=True)
    FINETUNED_DIR.mkdir(parents=True)
    manifest = read_manifest()
    labels = label_order(manifest) if params.text.finetune.epochs else []
    write_json(FINETUNED_DIR / "finetuned.json", {"labels": labels})
    if labels:
        tune(params, manifest, labels)


def tune(params: Params, manifest: pd.DataFrame, labels: list[str]) -> None:
    """Train an encoder a fold; a training row is answered by the one that never met its dialogue, others by all."""
    from safetensors.torch import save_file

    from emofuse.core.device import pick_device
    from emofuse.extraction.content import NO_TEXT, text_of
    from emofuse.features.text.finetuned import FinetunedEncoder, column_names
    from emofuse.training.finetune import finetune

    said = utterances(manifest, params.ingest.root)
    wordy = np.array([bool(text_of(utterance, params.text)) for utterance in said])
    chosen = np.flatnonzero((manifest["split"] == "train") & manifest["label"].notna() & wordy)
    targets = np.array([labels.index(label) for label in manifest["label"].iloc[chosen]])
    dialogues = manifest["dialogue"].iloc[chosen].tolist()
    rows: list[Extracted] = [NO_TEXT] * len(said)
    found = finetune([said[i] for i in chosen], targets, dialogues, params.text, params.train, params.seed)
    for fold, member in enumerate(found):
        weights = {name: value.detach().half().contiguous() for name, value in member.network.trained().items()}
        save_file(weights, FINETUNED_DIR / f"member{fold}.safetensors")
        for row, scores in zip(chosen[member.held], member.scores.astype(np.float32), strict=True):
            rows[row] = Extracted(scores)
    others = np.setdiff1d(np.flatnonzero(wordy), chosen)
    scores = FinetunedEncoder(FINETUNED_DIR, params.text, pick_device()).scores([said[i] for i in others])
    for row, values in zip(others, scores, strict=True):
        rows[row] = Extracted(values)
    write_features(FINETUNED_DIR / "text.parquet", manifest, column_names(labels), rows)


if __name__ == "__main__":
    with guard():
        main()
