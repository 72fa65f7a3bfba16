"""Stage finetune: the text encoder trained end to end on the labels, to models/finetuned/."""

import shutil

from emofuse.core.errors import guard
from emofuse.core.files import write_json
from emofuse.core.params import load_params
from emofuse.core.paths import FINETUNED_DIR, TRANSCRIPTS_FILE
from emofuse.core.tables import label_order, read_manifest, write_features
from emofuse.datasets.transcripts import add_transcripts


def main() -> None:
    """Train the encoders, unless `text.finetune.epochs` is 0, and write what they say of every row of the manifest."""
    params = load_params()
    shutil.rmtree(FINETUNED_DIR, ignore_errors=True)
    FINETUNED_DIR.mkdir(parents=True)
    if not params.text.finetune.epochs:
        write_json(FINETUNED_DIR / "finetuned.json", {"labels": []})
        return
    from emofuse.features.text.finetuned import column_names
    from emofuse.training.finetune import finetune_manifest

    manifest = add_transcripts(read_manifest(), TRANSCRIPTS_FILE, params.text.transcribe)
    labels = label_order(manifest)
    scores = finetune_manifest(manifest, labels, params, FINETUNED_DIR)
    write_features(FINETUNED_DIR / "text.parquet", manifest, column_names(labels), scores)


if __name__ == "__main__":
    with guard():
        main()
