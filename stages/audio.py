"""Stage audio: the manifest's clips to features/audio.parquet."""

from __future__ import annotations

from functools import partial

from emofuse.errors import guard
from emofuse.features.audio import AudioExtractor
from emofuse.features.engine import extract_in_processes
from emofuse.params import load_params
from emofuse.schema import FEATURES_DIR, read_manifest, utterances, write_features


def main() -> None:
    """Extract the audio features of every utterance."""
    params = load_params()
    manifest = read_manifest()
    make = partial(AudioExtractor, params.audio)
    table = extract_in_processes(make, utterances(manifest, params.ingest.root), "audio")
    write_features(FEATURES_DIR / "audio.parquet", manifest, table)


if __name__ == "__main__":
    with guard():
        main()
