"""Stage visual: the manifest's clips to features/visual.parquet."""

from __future__ import annotations

from functools import partial

from emofuse.errors import guard
from emofuse.features.engine import extract_in_processes
from emofuse.features.visual import VisualExtractor
from emofuse.params import load_params
from emofuse.schema import FEATURES_DIR, read_manifest, utterances, write_features


def main() -> None:
    """Extract the visual features of every utterance."""
    params = load_params()
    manifest = read_manifest()
    make = partial(VisualExtractor, params.visual)
    table = extract_in_processes(make, utterances(manifest, params.ingest.root), "visual")
    write_features(FEATURES_DIR / "visual.parquet", manifest, table)


if __name__ == "__main__":
    with guard():
        main()
