"""Stage text: the manifest's words to features/text.parquet."""

from __future__ import annotations

from functools import partial

from emofuse.device import pick_device
from emofuse.errors import guard
from emofuse.features.engine import extract_here
from emofuse.features.text import TextExtractor
from emofuse.params import load_params
from emofuse.schema import FEATURES_DIR, read_manifest, utterances, write_features


def main() -> None:
    """Encode the text of every utterance."""
    params = load_params()
    manifest = read_manifest()
    make = partial(TextExtractor, params.text, pick_device())
    table = extract_here(make, utterances(manifest, params.ingest.root), "text")
    write_features(FEATURES_DIR / "text.parquet", manifest, table)


if __name__ == "__main__":
    with guard():
        main()
