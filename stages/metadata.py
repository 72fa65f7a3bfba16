"""Stage metadata: the manifest's clips to features/metadata.parquet."""

from __future__ import annotations

from functools import partial

from emofuse.errors import guard
from emofuse.features.engine import extract_here
from emofuse.features.metadata import MetadataExtractor
from emofuse.params import load_params
from emofuse.schema import FEATURES_DIR, read_manifest, utterances, write_features


def main() -> None:
    """Extract the metadata features of every utterance."""
    params = load_params()
    manifest = read_manifest()
    make = partial(MetadataExtractor, params.metadata)
    table = extract_here(make, utterances(manifest, params.ingest.root), "metadata")
    write_features(FEATURES_DIR / "metadata.parquet", manifest, table)


if __name__ == "__main__":
    with guard():
        main()
