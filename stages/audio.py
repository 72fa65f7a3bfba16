"""Stage audio: the manifest's clips to features/audio.parquet."""

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import FEATURES_DIR
from emofuse.core.tables import read_manifest, utterances
from emofuse.extraction.run import extract
from emofuse.extraction.sounds import sound_task


def main() -> None:
    """Extract the audio features of every utterance."""
    params, manifest = load_params(), read_manifest()
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    extract(sound_task(params.audio), rows, manifest, FEATURES_DIR / "audio.parquet", params.extract)


if __name__ == "__main__":
    with guard():
        main()
